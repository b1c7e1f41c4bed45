import {
  type LanguageModelListener,
  type OnError,
  openLanguageModels,
  openSynthesizers,
} from "./adapters.ts";
import type { Agent } from "./agent/agent.ts";
import type { Config } from "./config/config.ts";
import { loadLanguageDetector } from "./core/text/language.ts";
import { createTier, type Tier } from "./failover/tier.ts";
import type { LanguageModel } from "./models/language-model.ts";
import type { Synthesizer } from "./models/synthesizer.ts";

/** Something that runs until it is stopped. */
export type Stoppable = { stop(): Promise<void> };

/** Replaces providers that the settings ask for. */
export type ProviderOverrides = {
  readonly languageModels?: readonly LanguageModel[];
  readonly synthesizers?: readonly Synthesizer[];
};

/** The tiers of a gateway, best first. */
export type Providers = {
  readonly languageModels: readonly Tier<LanguageModel>[];
  readonly synthesizers: readonly Tier<Synthesizer>[];
};

/** Opens the tiers that the settings ask for. */
export function openProviders(
  config: Config,
  overrides: ProviderOverrides,
  {
    activity: listener,
    agent,
  }: { readonly activity: LanguageModelListener; readonly agent: Agent },
): Providers {
  const languageModels = overrides.languageModels ?? openLanguageModels(config, listener, agent);
  const synthesizers = overrides.synthesizers ?? openSynthesizers(config, listener.onError);
  return {
    languageModels: languageModels.map((each) =>
      // One breaker knows what turns and calls found, and closes when a new agent is ready.
      createTier(each, config.textTimeouts, each.name === "agent" ? agent.breaker : undefined),
    ),
    synthesizers: synthesizers.map((each) => createTier(each, config.speechTimeouts)),
  };
}

/** Starts the providers. If one cannot start, its calls fail and say why; the others serve. */
export async function startProviders(
  { languageModels, synthesizers }: Providers,
  signal: AbortSignal,
  onError: OnError,
): Promise<readonly Stoppable[]> {
  // The language of a sentence matters where a voice speaks some languages only.
  if (synthesizers.some(({ provider }) => provider.languages)) await loadLanguageDetector();
  const all = [...languageModels, ...synthesizers].map(({ provider }) => provider);
  const start = async (provider: LanguageModel | Synthesizer) => {
    try {
      await provider.start?.(signal);
    } catch (error) {
      onError(provider.name, error);
    }
  };
  await Promise.all(all.map(start));
  return all.map((provider) => ({ stop: async () => provider.stop?.() }));
}
