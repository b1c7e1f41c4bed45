import { throwIfAborted } from "../core/async.ts";
import type { TierPart } from "../failover/text.ts";
import type { Source } from "../failover/tiers.ts";
import type { Prompt } from "../models/language-model.ts";
import { endingOf } from "./broken-reply.ts";

/** What such a reply is asked for with. */
type TextRequest = {
  readonly prompt: Prompt;
  /** The reply broke off, and no tier can continue it. */
  readonly onPartial: (cause: Error) => void;
};

/**
 * The segments of a reply that is wanted as text: each delta as it comes, without sound. Of a model that
 * speaks by itself they are its transcript. They end as those of a spoken reply do.
 */
export async function* textOnlySegments(
  reply: AsyncIterable<readonly TierPart[]> | Iterable<readonly TierPart[]>,
  { prompt, onPartial }: TextRequest,
  signal: AbortSignal,
): AsyncGenerator<{ readonly text: string; readonly source?: Source }> {
  let hasBegun = false;
  try {
    for await (const parts of reply) {
      hasBegun = true;
      for (const { source, part } of parts) {
        if (part.type === "audio" || part.text === "") continue;
        yield { text: part.text, ...(source && { source }) };
      }
    }
  } catch (error) {
    throwIfAborted(signal);
    const { refusal, partial } = endingOf(error, { hasBegun, prompt: prompt.text });
    if (partial) onPartial(partial);
    if (refusal !== undefined) yield { text: refusal };
  }
}
