import { ProviderError } from "../../server/core/errors.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { createToneVoice } from "../../server/providers/tone.ts";

/** A voice that hums each text under this name, and fails where `fails` says so: after 0.5 s, or at once. */
export function createHummingVoice(
  name: string,
  fails: (text: string) => "midway" | "at once" | undefined = () => undefined,
  traits: Partial<Synthesizer> = {},
): Synthesizer {
  const tone = createToneVoice();
  return {
    name,
    ...traits,
    async *synthesize(text, voice, signal) {
      const how = fails(text);
      const fault = () => new ProviderError(name, "server", "it was told to fail");
      if (how === "at once") throw fault();
      let samples = 0;
      for await (const part of tone.synthesize(text, voice, signal)) {
        if (how === "midway" && samples >= 24_000) throw fault();
        samples += part.pcm.length;
        yield part;
      }
    },
  };
}
