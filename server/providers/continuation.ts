import type { ReplyPart } from "../models/language-model.ts";

/**
 * Removes what a model repeats of the reply that it was asked to continue. Every adapter that asks a
 * model to continue uses it, so it stands beside their folders.
 *
 * Words that match the beginning of `prefix` are buffered, with the audio between them. If the whole
 * prefix was repeated, the buffer is dropped, with the audio up to the next words. As soon as a word
 * differs, the buffer passes. White space between the prefix and the rest appears once.
 */
export function withoutRepeat(
  parts: AsyncIterable<ReplyPart>,
  prefix: string | undefined,
): AsyncIterable<ReplyPart> {
  return prefix === undefined ? parts : filtered(parts, prefix);
}

async function* filtered(
  parts: AsyncIterable<ReplyPart>,
  prefix: string,
): AsyncGenerator<ReplyPart> {
  const filter = createFilter(prefix);
  for await (const part of parts) yield* filter.push(part);
  yield* filter.end();
}

type Filter = {
  /** The parts that pass when this one arrives. */
  push(part: ReplyPart): readonly ReplyPart[];
  /** The parts that pass at the end. */
  end(): readonly ReplyPart[];
};

function createFilter(prefix: string): Filter {
  const expected = prefix.trim();
  let state: "comparing" | "repeated" | "passing" = "comparing";
  let buffer: ReplyPart[] = [];
  let words = "";

  const release = (): readonly ReplyPart[] => {
    state = "passing";
    return joined(buffer, prefix);
  };

  const compare = (part: ReplyPart): readonly ReplyPart[] => {
    buffer.push(part);
    if (part.type === "audio") return [];
    words = (words + part.text).trimStart();
    if (!words.startsWith(expected)) return expected.startsWith(words) ? [] : release();
    state = "repeated";
    buffer = [];
    return skip({ ...part, text: words.slice(expected.length) });
  };

  /** The prefix was repeated: nothing passes before there are new words. */
  const skip = (part: ReplyPart): readonly ReplyPart[] => {
    if (part.type === "audio") return [];
    const text = endsInSpace(prefix) ? part.text.trimStart() : part.text;
    if (text === "") return [];
    state = "passing";
    return [{ ...part, text }];
  };

  return {
    push(part) {
      if (state === "passing" || part.type === "heard") return [part];
      return state === "comparing" ? compare(part) : skip(part);
    },
    end: () => (state === "comparing" ? release() : []),
  };
}

/** The parts, with white space adjusted to the end of the prefix. */
function joined(parts: readonly ReplyPart[], prefix: string): readonly ReplyPart[] {
  let before: string | undefined = prefix;
  return parts.flatMap((part) => {
    if (part.type === "audio" || before === undefined) return [part];
    const text = spaced(part.text, before);
    before = text.trim() === "" ? before + text : undefined;
    return text === "" ? [] : [{ ...part, text }];
  });
}

/** A model that continues after a full stop often omits the space. */
function spaced(text: string, before: string): string {
  if (endsInSpace(before)) return text.trimStart();
  return /[.!?…,;:]$/u.test(before) && /^\p{L}/u.test(text) ? ` ${text}` : text;
}

function endsInSpace(text: string): boolean {
  return /\s$/u.test(text);
}
