import type { ReplyPart } from "../models/language-model.ts";

type TextPart = Extract<ReplyPart, { type: "text" }>;
type VoicePart = Exclude<ReplyPart, TextPart>;

/** A stretch of a reply of one kind: text that is to be spoken, or a voice that speaks by itself. */
export type Segment =
  | { readonly kind: "text"; readonly parts: AsyncIterable<TextPart> }
  | { readonly kind: "voice"; readonly parts: AsyncIterable<VoicePart> };

const kindOf = (part: ReplyPart) => (part.type === "text" ? "text" : "voice");

/**
 * Cuts a reply where its kind changes: where a model that spoke by itself failed, and one that
 * writes went on. The next segment comes when all parts of the one before were read.
 */
export async function* segments(reply: AsyncIterable<ReplyPart>): AsyncGenerator<Segment> {
  const parts = reply[Symbol.asyncIterator]();
  let next: IteratorResult<ReplyPart> | undefined;
  const has = (kind: Segment["kind"]) => next?.done === false && kindOf(next.value) === kind;
  try {
    next = await parts.next();
    while (!next.done) {
      const kind = kindOf(next.value);
      const read = Promise.withResolvers<void>();
      const segment = async function* (): AsyncGenerator<ReplyPart> {
        try {
          while (has(kind)) {
            yield next?.value;
            next = await parts.next();
          }
        } finally {
          read.resolve();
        }
      };
      yield { kind, parts: segment() } as Segment;
      await read.promise;
    }
  } finally {
    await parts.return?.();
  }
}
