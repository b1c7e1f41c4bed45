import { ProviderError } from "../core/errors.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";

/**
 * A language model whose code `start` loads: an unused SDK costs neither time nor memory. `start` throws
 * what loading throws; calls then fail with a `ProviderError`. The traits are the model's own.
 */
export function lazyLanguageModel(
  name: string,
  load: () => Promise<LanguageModel>,
  traits: Pick<LanguageModel, "hears"> = {},
): LanguageModel {
  const loaded = loadOnce(name, load);
  return {
    ...traits,
    name,
    start: loaded.start,
    stop: loaded.stop,
    generate: (prompt, signal) => loaded.get().generate(prompt, signal),
    prepare: async (context, signal) => loaded.get().prepare?.(context, signal),
  };
}

/** What a voice says of itself, known before its code is loaded. */
export type SynthesizerTraits = Pick<
  Synthesizer,
  "name" | "hasWordTimings" | "languages" | "voices" | "takesVoice"
>;

/** A voice whose code `start` loads. The traits are the voice's own. */
export function lazySynthesizer(
  traits: SynthesizerTraits,
  load: () => Promise<Synthesizer>,
): Synthesizer {
  const loaded = loadOnce(traits.name, load);
  return {
    ...traits,
    start: loaded.start,
    stop: loaded.stop,
    synthesize: (text, voice, signal) => loaded.get().synthesize(text, voice, signal),
    prepare: async (signal) => loaded.get().prepare?.(signal),
  };
}

type Startable = { start?(signal: AbortSignal): Promise<void>; stop?(): Promise<void> };

function loadOnce<Provider extends Startable>(name: string, load: () => Promise<Provider>) {
  let provider: Provider | undefined;
  return {
    async start(signal: AbortSignal) {
      provider = await load();
      await provider.start?.(signal);
    },
    async stop() {
      await provider?.stop?.();
    },
    get(): Provider {
      if (provider) return provider;
      throw new ProviderError(name, "server", "could not be loaded; the log says why");
    },
  };
}
