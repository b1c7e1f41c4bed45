import { join } from "node:path";
import type { Agent } from "./agent/agent.ts";
import { createAgentModel } from "./agent/language-model.ts";
import type { Config } from "./config/config.ts";
import type { SpeechTier, TextTier } from "./config/provider-config.ts";
import { DISTIL_INSTRUCTIONS } from "./conversation/memory/distiller.ts";
import { lazyLanguageModel, lazySynthesizer, type SynthesizerTraits } from "./failover/lazy.ts";
import { createLocalVoice, createLocalWorkers } from "./local-tts/dittli/dittli.ts";
import { createKokoroVoice, createKokoroWorkers } from "./local-tts/kokoro/kokoro.ts";
import type { LanguageModel } from "./models/language-model.ts";
import type { Embedder } from "./models/memory.ts";
import type { Synthesizer } from "./models/synthesizer.ts";
import { createCommandVoice } from "./providers/command/command.ts";
import { withoutRepeat } from "./providers/continuation.ts";
import { isVoiceName, knownVoicesOf, languagesOf } from "./providers/microsoft-speech/voices.ts";
import { createOfflineModel } from "./providers/offline.ts";
import { createToneVoice } from "./providers/tone.ts";
import type { TierOrigin } from "./telemetry/tracing.ts";

/** Called with an error outside of any call: a warm connection cannot be opened, a file is missing. */
export type OnError = (tier: string, error: unknown) => void;

/** Receives events of the text tiers. */
export type LanguageModelListener = {
  readonly onError: OnError;
  /** A screenshot could not be converted; the turn continues without it. */
  readonly onScreenshotDropped?: OnError;
};

/** Who is behind each tier, by OpenTelemetry's names where it has one, for traces. */
export function tierOrigins({ providers }: Config): Readonly<Record<string, TierOrigin>> {
  const { gemini, langchain, azure, edge, kokoro } = providers;
  const [, vendor, model] = /^(\w+):(.+)$/.exec(langchain?.model ?? "") ?? [];
  const google = "gcp.gemini";
  return {
    ...(gemini && {
      "gemini-live": { provider: google, model: gemini.liveModel },
      gemini: { provider: google, model: gemini.model },
    }),
    ...(model && { langchain: { provider: vendor === "google" ? google : "openai", model } }),
    ...(azure && { azure: { provider: "azure.ai.speech", model: azure.voice } }),
    ...(edge && { edge: { provider: "microsoft.edge", model: edge.voice } }),
    ...(kokoro && { kokoro: { provider: "kokoro", model: kokoro.voice } }),
    local: { provider: "dittli" },
  };
}

/** Creates the text tiers of a configuration, best first. */
export function openLanguageModels(
  config: Config,
  listener: LanguageModelListener,
  agent?: Pick<Agent, "stream">,
): readonly LanguageModel[] {
  return config.providers.textTiers.map((tier) =>
    tier === "agent"
      ? openAgentModel(need(agent, tier), config)
      : openLanguageModel(tier, config, listener),
  );
}

function openAgentModel(agent: Pick<Agent, "stream">, { providers }: Config): LanguageModel {
  const model = createAgentModel(agent, providers);
  return {
    ...model,
    generate: (prompt, signal) => withoutRepeat(model.generate(prompt, signal), prompt.prefix),
  };
}

/** Creates the speech tiers of a configuration, best first. */
export function openSynthesizers(
  config: Config,
  onError: OnError = () => undefined,
): readonly Synthesizer[] {
  return config.providers.speechTiers.map((tier) => openSynthesizer(tier, config, onError));
}

/** Creates the model that distils memories, if there is one. It must be started. */
export function openDistiller({ providers, memory }: Config): LanguageModel | undefined {
  const { model } = memory;
  const { gemini } = providers;
  if (model === undefined || !gemini) return undefined;
  const options = { ...gemini, model, systemPrompt: DISTIL_INSTRUCTIONS, search: false };
  return lazyLanguageModel(model, async () => {
    const { createGeminiModel } = await import("./providers/gemini/gemini.ts");
    return createGeminiModel(options);
  });
}

/** Creates what embeds memories, if there is something. */
export function openEmbedder({ providers, memory }: Config): Embedder | undefined {
  const { embeddingModel: model } = memory;
  const { gemini } = providers;
  if (model === undefined || !gemini) return undefined;
  let loaded: Promise<Embedder> | undefined;
  const load = async () => {
    const { createGeminiEmbedder } = await import("./providers/gemini/embedder.ts");
    return createGeminiEmbedder({ ...gemini, model });
  };
  return {
    model,
    async embed(texts, use, signal) {
      loaded ??= load();
      return await (await loaded).embed(texts, use, signal);
    },
  };
}

function openLanguageModel(
  tier: Exclude<TextTier, "agent">,
  { providers: config, textTimeouts }: Config,
  { onError, onScreenshotDropped }: LanguageModelListener,
): LanguageModel {
  const { systemPrompt } = config;
  switch (tier) {
    case "gemini-live": {
      const { apiKey, baseUrl, search, ...live } = need(config.gemini, tier);
      const options = {
        apiKey,
        ...(baseUrl !== undefined && { baseUrl }),
        model: live.liveModel,
        voice: live.liveVoice,
        warmConnections: live.liveWarmConnections,
        maxConnections: live.liveMaxConnections,
        // Within the tier's patience: a wait for late words is not to count as silence.
        trailingMs: Math.min(5_000, textTimeouts.idleMs / 2),
        search,
        systemPrompt,
        onError: (error: unknown) => onError(tier, error),
        onScreenshotDropped: (error: unknown) => onScreenshotDropped?.(tier, error),
      };
      const load = async () => {
        const { createGeminiLiveModel } = await import("./providers/gemini-live/gemini-live.ts");
        return createGeminiLiveModel(options);
      };
      return lazyLanguageModel(tier, load, { hears: true });
    }
    case "gemini": {
      const options = { ...need(config.gemini, tier), systemPrompt };
      return lazyLanguageModel(tier, async () => {
        const { createGeminiModel } = await import("./providers/gemini/gemini.ts");
        return createGeminiModel(options);
      });
    }
    case "langchain": {
      const options = { ...need(config.langchain, tier), systemPrompt };
      return lazyLanguageModel(tier, async () => {
        const { createLangchainModel } = await import("./providers/langchain/langchain.ts");
        return createLangchainModel(options);
      });
    }
    case "offline":
      return createOfflineModel();
  }
}

function openSynthesizer(tier: SpeechTier, config: Config, onError: OnError): Synthesizer {
  const { providers, speechTimeouts } = config;
  const idleTimeoutMs = speechTimeouts.idleMs;
  const transliterate = providers.transliterates;
  switch (tier) {
    case "azure": {
      const options = {
        ...need(providers.azure, tier),
        idleTimeoutMs,
        onError: (error: unknown) => onError(tier, error),
      };
      return lazySynthesizer({ ...microsoftVoice(options.voice), name: tier }, async () => {
        const { createAzureVoice } = await import("./providers/azure/azure.ts");
        return createAzureVoice(options);
      });
    }
    case "edge": {
      const options = { ...need(providers.edge, tier), idleTimeoutMs };
      return lazySynthesizer({ ...microsoftVoice(options.voice), name: tier }, async () => {
        const { createEdgeVoice } = await import("./providers/edge/edge.ts");
        return createEdgeVoice(options);
      });
    }
    case "kokoro": {
      const choice = need(providers.kokoro, tier);
      const voice = createKokoroVoice({
        transliterate,
        workerPool: createKokoroWorkers(choice),
        onError: (error) => onError(tier, error),
      });
      return { ...voice, voices: [choice.voice] };
    }
    case "local":
      return createLocalVoice({
        transliterate,
        workerPool: createLocalWorkers(join(config.dataDir, "cache")),
        germanPool: createLocalWorkers(join(config.dataDir, "cache"), "de"),
      });
    case "command":
      return createCommandVoice({ ...need(providers.command, tier), timeoutMs: idleTimeoutMs });
    case "tone":
      return createToneVoice();
  }
}

function microsoftVoice(defaultVoice: string): Omit<SynthesizerTraits, "name"> {
  const languages = languagesOf(defaultVoice);
  return {
    hasWordTimings: true,
    ...(languages && { languages }),
    voices: knownVoicesOf(defaultVoice),
    takesVoice: isVoiceName,
  };
}

/** The validated configuration contains what each of its tiers needs. */
function need<Part>(part: Part | undefined, tier: string): Part {
  if (part === undefined) throw new Error(`the tier ${tier} has no settings`);
  return part;
}
