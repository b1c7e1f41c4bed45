import { openLanguageModels, openSynthesizers } from "../../server/adapters.ts";
import { type Config, readConfig } from "../../server/config/config.ts";
import type { LanguageModel, ReplyPart } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { SAMPLES_A_LETTER } from "../gemini-live-wire.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";
import { type EmulatedTier, type Emulators, emulatedKinds, ordinaryScripts } from "./emulators.ts";
import { inProcessKinds, type Played, playLanguageModel, playVoice } from "./in-process.ts";

/** A tier that a person can play with. */
export type PlayedTier = {
  readonly name: string;
  /** Faults that it can have. */
  readonly kinds: readonly FaultKind[];
  /** How it is when nothing was asked of it. */
  readonly ordinary: EmulatorScript;
  play(script: EmulatorScript): void;
};

/** All tiers, best first: the real adapters, with emulators behind those that call a server. */
export type EmulatedProviders = {
  /** The person's own settings, with the emulated providers in the place of theirs. */
  readonly config: Config;
  readonly languageModels: readonly LanguageModel[];
  readonly synthesizers: readonly Synthesizer[];
  /** In the order in which they are asked, text before speech. */
  readonly tiers: readonly PlayedTier[];
};

/** Points the real adapters at the emulators. Throws `InvalidConfig` for the person's settings. */
export function openEmulated(
  { urls, play }: Emulators,
  onError: (tier: string, error: unknown) => void,
): EmulatedProviders {
  const env = environmentOf(urls);
  const config = { ...readConfig(), providers: readConfig(env).providers };
  // There is one setting for Google's address, and two servers.
  const live = { ...env, TEXT_TIERS: "gemini-live", GEMINI_BASE_URL: urls["gemini-live"] };
  const tiers: PlayedTier[] = [];
  const isEmulated = (name: string): name is EmulatedTier => name in urls;
  const place = <Provider extends { readonly name: string }>(
    provider: Provider,
    wrap: (provider: Provider) => Played<Provider>,
  ): Provider => {
    const { name } = provider;
    if (isEmulated(name)) {
      const ordinary = ordinaryScripts[name];
      const playThis = (script: EmulatorScript) => play(name, script);
      tiers.push({ name, kinds: emulatedKinds[name], ordinary, play: playThis });
      return provider;
    }
    const played = wrap(provider);
    tiers.push({ name, kinds: inProcessKinds, ordinary: {}, play: played.play });
    return played.provider;
  };
  return {
    config,
    languageModels: [
      ...openLanguageModels(readConfig(live), { onError }).map(audible),
      ...openLanguageModels(config, { onError }),
    ].map((languageModel) => place(languageModel, playLanguageModel)),
    synthesizers: openSynthesizers(config).map((voice) => place(voice, playVoice)),
    tiers,
  };
}

/** Keys that are none: whoever sees one in a log sees that nothing was given away. */
function environmentOf(urls: Emulators["urls"]): Readonly<Record<string, string>> {
  return {
    TEXT_TIERS: "gemini,langchain,offline",
    GEMINI_API_KEY: "emulated",
    GEMINI_BASE_URL: urls.gemini,
    LANGCHAIN_MODEL: "openai:emulated",
    OPENAI_API_KEY: "emulated",
    OPENAI_BASE_URL: urls.langchain,
    SPEECH_TIERS: "azure,edge,local,tone",
    AZURE_SPEECH_KEY: "emulated",
    AZURE_SPEECH_HOST: urls.azure,
    EDGE_TTS_ENABLED: "true",
    EDGE_TTS_URL: urls.edge,
  };
}

/** Samples that a letter is heard for: 50 ms at 24 kHz, about a word in a third of a second. */
const samplesALetter = 1200;
const lowestHz = 220;
const stepHz = 20;
const peak = 6000;

/**
 * The emulated Live voice spells its words in samples too small and too short to be heard. This
 * plays each letter as a tone instead, and keeps spaces silent.
 */
export function audible(languageModel: LanguageModel): LanguageModel {
  return {
    ...languageModel,
    async *generate(prompt, signal) {
      for await (const part of languageModel.generate(prompt, signal)) {
        yield part.type === "audio" ? play(part) : part;
      }
    },
  };
}

function play(part: Extract<ReplyPart, { type: "audio" }>): ReplyPart {
  const letters = Math.ceil(part.pcm.length / SAMPLES_A_LETTER);
  const pcm = Int16Array.from({ length: letters * samplesALetter }, (_, at) => {
    const code = part.pcm[Math.floor(at / samplesALetter) * SAMPLES_A_LETTER] ?? 0;
    return sampleAt(code, at % samplesALetter, part.sampleRateHz);
  });
  return { ...part, pcm };
}

/** A tone that rises and falls within its letter, so that nothing clicks. */
function sampleAt(code: number, at: number, rateHz: number): number {
  if (code <= " ".charCodeAt(0)) return 0;
  const hz = lowestHz + stepHz * (code % 32);
  const fade = Math.sin((Math.PI * at) / samplesALetter);
  return Math.round(peak * fade * Math.sin((2 * Math.PI * hz * at) / rateHz));
}
