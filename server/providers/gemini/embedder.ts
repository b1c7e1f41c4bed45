import { onAbort } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { Embedder } from "../../models/memory.ts";
import { createGeminiClient, type GeminiAccess } from "./client.ts";

const name = "gemini-embedding";
/** As many as every model of the vendor offers: 3 KB a text. */
const DIMENSIONS = 768;

/**
 * A Google model that embeds texts: one request for all of them. Errors: as the vendor reports them;
 * `protocol` if vectors are missing.
 */
export function createGeminiEmbedder(options: GeminiAccess & { readonly model: string }): Embedder {
  const client = createGeminiClient(name, options);
  const { model } = options;
  return {
    model,
    async embed(texts, use, signal) {
      const taskType = use === "query" ? "RETRIEVAL_QUERY" : "RETRIEVAL_DOCUMENT";
      const request = { model, texts, taskType, dimensions: DIMENSIONS } as const;
      const call = new AbortController();
      const removeListener = onAbort(signal, (reason) => call.abort(reason));
      const vectors = await client.embed(request, call.signal).finally(removeListener);
      if (vectors.length !== texts.length || vectors.some(({ length }) => length === 0)) {
        throw new ProviderError(name, "protocol", "the response lacks vectors");
      }
      return vectors.map((vector) => Float32Array.from(vector));
    },
  };
}
