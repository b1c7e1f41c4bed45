import { abortable, TurnCancelled } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import { createBreaker } from "../../failover/breaker.ts";
import type { Embedder, Embedding } from "../../models/memory.ts";

/** Embeds texts. Rejects with `EmbedderDown`, a `ProviderError`, or the signal's reason. */
export type Embed = (
  texts: readonly string[],
  use: "fact" | "query",
  signal: AbortSignal,
) => Promise<readonly Embedding[]>;

/** The embedder failed before and is not asked now. */
export class EmbedderDown extends Error {
  override readonly name = "EmbedderDown";
}

/**
 * Puts an embedder behind a breaker: after two failures it is not asked for 30 s, so that turns do not
 * wait for it. It fails, too, if the signal fires for another reason than that the turn is over.
 */
export function createEmbed({ model, embed }: Embedder): Embed {
  const breaker = createBreaker({ failures: 2 });
  return async (texts, use, signal) => {
    const call = breaker.admit();
    if (!call) throw new EmbedderDown("the embedding model failed before");
    try {
      const vectors = await abortable(embed(texts, use, signal), signal);
      call.succeed();
      return vectors.map((vector) => ({ model, vector }));
    } catch (error) {
      if (error instanceof ProviderError) call.fail(error);
      else if (signal.reason instanceof TurnCancelled) call.forget();
      else call.fail(new ProviderError(model, "timeout", "no answer in time"));
      throw error;
    }
  };
}
