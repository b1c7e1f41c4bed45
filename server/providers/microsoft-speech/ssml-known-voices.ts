import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart, Voice } from "../../models/synthesizer.ts";
import { type ChosenVoice, chooseVoice } from "./ssml-voices.ts";

/** Knows which voices a service does not have, as far as it was asked for them. */
export type KnownVoices = {
  /**
   * Speaks with the voice that is asked for, or with the default one if the service does not know
   * it. `open` throws an `unsupported` fault, before any sound, for a voice that is unknown. If that
   * is the default, the fault becomes `authorization`: somebody has to mend a setting.
   */
  speak(
    voice: Voice,
    open: (chosen: ChosenVoice) => AsyncIterable<SpeechPart>,
  ): AsyncIterable<SpeechPart>;
};

/** Names that are remembered; clients choose them. */
const mostRefused = 100;

/** Makes the memory of one provider. */
export function createKnownVoices(provider: string, defaultVoice: string): KnownVoices {
  const refused = new Set<string>();
  return {
    async *speak(voice, open) {
      const asked = chooseVoice(voice, defaultVoice);
      const chosen = refused.has(asked.voice) ? { ...asked, voice: defaultVoice } : asked;
      try {
        return yield* open(chosen);
      } catch (error) {
        if (!(error instanceof ProviderError) || error.kind !== "unsupported") throw error;
        if (chosen.voice === defaultVoice) {
          throw new ProviderError(provider, "authorization", "it has no voice of the name set");
        }
      }
      if (refused.size < mostRefused) refused.add(chosen.voice);
      yield* open({ ...chosen, voice: defaultVoice });
    },
  };
}
