import { join } from "node:path";
import type { Config } from "./config/config.ts";
import type { ProviderConfig, SpeechTier, TextTier } from "./config/provider-config.ts";
import { lazyGenerator, lazySynthesizer } from "./failover/lazy.ts";
import { createCommandVoice } from "./providers/command/command.ts";
import { createKokoroBooth, createKokoroVoice } from "./local-tts/kokoro/kokoro.ts";
import { createLocalBooth, createLocalVoice } from "./local-tts/dittli/dittli.ts";
import type { Synthesizer } from "./models/synthesizer.ts";
import { createToneVoice } from "./providers/tone.ts";
import type { Generator } from "./models/language-model.ts";
import { createOfflineGenerator } from "./providers/offline.ts";

/**
 * Told of a fault that no call has met yet: a connection that was to stand ready could not be had, or
 * a model's file is not there.
 */
export type OnFault = (tier: string, error: unknown) => void;

/** Told what becomes of the text tiers. */
export type GeneratorListener = {
  readonly onFault: OnFault;
  /** A turn went on without its screenshot, which could not be brought into the model's format. */
  readonly onScreenshotDropped?: OnFault;
};

/** The text tiers of a configuration, best first. The one place that names concrete generators. */
export function openGenerators(
  { providers }: Config,
  listener: GeneratorListener,
): readonly Generator[] {
  return providers.textTiers.map((tier) => openGenerator(tier, providers, listener));
}

/** The speech tiers of a configuration, best first. The one place that names concrete voices. */
export function openSynthesizers(
  config: Config,
  onFault: OnFault = () => undefined,
): readonly Synthesizer[] {
  return config.providers.speechTiers.map((tier) => openSynthesizer(tier, config, onFault));
}

function openGenerator(
  tier: TextTier,
  config: ProviderConfig,
  { onFault, onScreenshotDropped }: GeneratorListener,
): Generator {
  const { systemPrompt } = config;
  switch (tier) {
    case "gemini-live": {
      const { apiKey, baseUrl, search, ...live } = need(config.gemini, tier);
      const options = {
        apiKey,
        ...(baseUrl !== undefined && { baseUrl }),
        model: live.liveModel,
        voice: live.liveVoice,
        spares: live.liveSpares,
        search,
        systemPrompt,
        onFault: (error: unknown) => onFault(tier, error),
        onScreenshotDropped: (error: unknown) => onScreenshotDropped?.(tier, error),
      };
      return lazyGenerator(tier, async () => {
        const { createGeminiLiveGenerator } = await import("./providers/gemini-live/gemini-live.ts");
        return createGeminiLiveGenerator(options);
      });
    }
    case "gemini": {
      const options = { ...need(config.gemini, tier), systemPrompt };
      return lazyGenerator(tier, async () => {
        const { createGeminiGenerator } = await import("./providers/gemini/gemini.ts");
        return createGeminiGenerator(options);
      });
    }
    case "langchain": {
      const options = { ...need(config.langchain, tier), systemPrompt };
      return lazyGenerator(tier, async () => {
        const { createLangchainGenerator } = await import("./providers/langchain/langchain.ts");
        return createLangchainGenerator(options);
      });
    }
    case "offline":
      return createOfflineGenerator();
  }
}

function openSynthesizer(tier: SpeechTier, config: Config, onFault: OnFault): Synthesizer {
  const { providers, speechPatience } = config;
  const idleTimeoutMs = speechPatience.idleMs;
  // Better an English voice that reads a transcription than a tone; a program may do better.
  const transliterate = !providers.speechTiers.includes("command");
  switch (tier) {
    case "azure": {
      const options = {
        ...need(providers.azure, tier),
        idleTimeoutMs,
        onFault: (error: unknown) => onFault(tier, error),
      };
      return lazySynthesizer({ name: tier, timesWords: true }, async () => {
        const { createAzureVoice } = await import("./providers/azure/azure.ts");
        return createAzureVoice(options);
      });
    }
    case "edge": {
      const options = { ...need(providers.edge, tier), idleTimeoutMs };
      return lazySynthesizer({ name: tier, timesWords: true }, async () => {
        const { createEdgeVoice } = await import("./providers/edge/edge.ts");
        return createEdgeVoice(options);
      });
    }
    case "kokoro":
      return createKokoroVoice({
        transliterate,
        booth: createKokoroBooth(need(providers.kokoro, tier)),
        onFault: (error) => onFault(tier, error),
      });
    case "local":
      return createLocalVoice({
        transliterate,
        booth: createLocalBooth(join(config.dataDir, "cache")),
      });
    case "command":
      return createCommandVoice({ ...need(providers.command, tier), timeoutMs: idleTimeoutMs });
    case "tone":
      return createToneVoice();
  }
}

/** The configuration was checked: what a tier needs is there. */
function need<Part>(part: Part | undefined, tier: string): Part {
  if (part === undefined) throw new Error(`the tier ${tier} has no settings`);
  return part;
}
