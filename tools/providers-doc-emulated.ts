import { type EmulatedTier, startEmulators } from "../emulators/dev/emulators.ts";
import type { EmulatorScript } from "../emulators/script.ts";
import { openLanguageModels, openSynthesizers } from "../server/adapters.ts";
import { readConfig } from "../server/config/config.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import type { Synthesizer } from "../server/models/synthesizer.ts";

/** The real adapters, with emulators in the place of the vendors' servers. */
export type EmulatedTiers = {
  /** The tiers whose server is emulated, text before speech. */
  readonly names: readonly EmulatedTier[];
  readonly languageModels: ReadonlyMap<string, LanguageModel>;
  readonly voices: ReadonlyMap<string, Synthesizer>;
  /** Sets how a tier's server answers. Throws if the tier has none. */
  play(name: string, script: EmulatorScript): void;
  stop(): Promise<void>;
};

/** Opens every tier. `env` adds to the settings, or replaces them. No connection is kept warm. */
export async function openEmulatedTiers(
  env: Readonly<Record<string, string>> = {},
): Promise<EmulatedTiers> {
  const emulators = await startEmulators();
  const { urls } = emulators;
  const settings = {
    GEMINI_API_KEY: "emulated",
    GEMINI_BASE_URL: urls.gemini,
    GEMINI_LIVE_WARM_CONNECTIONS: "0",
    LANGCHAIN_MODEL: "openai:emulated",
    OPENAI_BASE_URL: urls.langchain,
    TEXT_TIERS: "gemini,langchain,offline",
    AZURE_SPEECH_KEY: "emulated",
    AZURE_SPEECH_HOST: urls.azure,
    EDGE_TTS_ENABLED: "true",
    EDGE_TTS_URL: urls.edge,
    ...env,
  };
  // There is one setting for Google's address, and two servers.
  const live = { ...settings, TEXT_TIERS: "gemini-live", GEMINI_BASE_URL: urls["gemini-live"] };
  const open = (wanted: Readonly<Record<string, string>>) =>
    openLanguageModels(readConfig(wanted), { onError: () => undefined });
  const languageModels = [...open(live), ...open(settings)];
  const voices = openSynthesizers(readConfig(settings));
  const signal = new AbortController().signal;
  for (const each of [...languageModels, ...voices]) await each.start?.(signal);
  const names = Object.keys(urls) as EmulatedTier[];
  return {
    names,
    languageModels: new Map(languageModels.map((each) => [each.name, each])),
    voices: new Map(voices.map((each) => [each.name, each])),
    play(name, script) {
      const tier = names.find((each) => each === name);
      if (!tier) throw new Error(`${name} has no emulator`);
      emulators.play(tier, script);
    },
    async stop() {
      for (const each of [...languageModels, ...voices]) await each.stop?.();
      await emulators.stop();
    },
  };
}
