import { spawnSync } from "node:child_process";
import { openLanguageModels, openSynthesizers } from "../../server/adapters.ts";
import { type Config, readConfig } from "../../server/config/config.ts";
import type { LanguageModel, ReplyPart } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { SAMPLES_A_LETTER } from "../gemini-live-wire.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";
import { defaultScripts, type EmulatedTier, type Emulators, emulatedKinds } from "./emulators.ts";
import { inProcessKinds, type Played, playLanguageModel, playVoice } from "./in-process.ts";

/** A tier that can play scripts. */
export type PlayedTier = {
  readonly name: string;
  /** Faults that it can play. */
  readonly kinds: readonly FaultKind[];
  /** Its initial script. */
  readonly initial: EmulatorScript;
  play(script: EmulatorScript): void;
};

/** All tiers, best first: the real adapters, with emulators behind those that call a server. */
export type EmulatedProviders = {
  /** The settings of the environment, with the emulated providers instead of its own. */
  readonly config: Config;
  readonly languageModels: readonly LanguageModel[];
  readonly synthesizers: readonly Synthesizer[];
  /** In the order in which they are tried, text before speech. */
  readonly tiers: readonly PlayedTier[];
};

/** Connects the real adapters to the emulators. Throws `InvalidConfig` for invalid settings. */
export function openEmulated(
  { urls, play }: Emulators,
  onError: (tier: string, error: unknown) => void,
): EmulatedProviders {
  const env = environmentOf(urls);
  const { database, ...own } = readConfig();
  // What emulators say is not worth keeping.
  const storage = { database: { ...database, isEnabled: false } };
  const config = { ...own, ...storage, providers: readConfig(env).providers };
  // One setting has Google's address, but there are two emulators.
  const live = { ...env, TEXT_TIERS: "gemini-live", GEMINI_BASE_URL: urls["gemini-live"] };
  const tiers: PlayedTier[] = [];
  const isEmulated = (name: string): name is EmulatedTier => name in urls;
  const place = <Provider extends { readonly name: string }>(
    provider: Provider,
    wrap: (provider: Provider) => Played<Provider>,
  ): Provider => {
    const { name } = provider;
    if (isEmulated(name)) {
      const initial = defaultScripts[name];
      const playThis = (script: EmulatorScript) => play(name, script);
      tiers.push({ name, kinds: emulatedKinds[name], initial, play: playThis });
      return provider;
    }
    const played = wrap(provider);
    tiers.push({ name, kinds: inProcessKinds, initial: {}, play: played.play });
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

/** Debian's program of the package `festival`. */
const FESTIVAL = "text2wave";

/**
 * Russian by Festival, where it is installed with `festvox-ru`: a real voice, and asked before the
 * emulated ones, because it speaks no other language.
 */
function russianVoice(): Readonly<Record<string, string>> {
  if (spawnSync(FESTIVAL, ["-h"], { stdio: "ignore" }).status !== 0) return {};
  return {
    SPEECH_TIERS: "command,azure,edge,local,tone",
    SPEECH_COMMAND: JSON.stringify([FESTIVAL, "-eval", "(voice_msu_ru_nsh_clunits)"]),
    SPEECH_COMMAND_LANGUAGES: "ru",
  };
}

/** Settings with obviously fake keys, in case one appears in a log. */
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
    ...russianVoice(),
  };
}

/** Samples for each letter: 50 ms at 24 kHz, about 300 ms for a word. */
const toneSamples = 1200;
const lowestHz = 220;
const stepHz = 20;
const peak = 6000;

/**
 * Makes the emulated Live voice audible. Its samples spell the words, too quietly and briefly to hear:
 * this plays a tone for each letter instead, and silence for spaces.
 */
function audible(languageModel: LanguageModel): LanguageModel {
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
  const pcm = Int16Array.from({ length: letters * toneSamples }, (_, at) => {
    const code = part.pcm[Math.floor(at / toneSamples) * SAMPLES_A_LETTER] ?? 0;
    return sampleAt(code, at % toneSamples, part.sampleRateHz);
  });
  return { ...part, pcm };
}

/** A tone that fades in and out within its letter, so that nothing clicks. */
function sampleAt(code: number, at: number, rateHz: number): number {
  if (code <= " ".charCodeAt(0)) return 0;
  const hz = lowestHz + stepHz * (code % 32);
  const fade = Math.sin((Math.PI * at) / toneSamples);
  return Math.round(peak * fade * Math.sin((2 * Math.PI * hz * at) / rateHz));
}
