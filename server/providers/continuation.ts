import type { ReplyPart } from "../models/language-model.ts";

/**
 * Takes away what a model repeats of a reply that it was to go on with.
 *
 * While the words that come are the beginning of `prefix` they are held back, with the sound
 * between them. Once the whole of it was repeated it is dropped, with the sound that comes before
 * the next words; as soon as a word differs all that was held goes through. White space at the
 * joint appears once.
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
  /** What goes through now that the part has come. */
  push(part: ReplyPart): readonly ReplyPart[];
  /** What goes through at the end. */
  end(): readonly ReplyPart[];
};

function createFilter(prefix: string): Filter {
  const said = prefix.trim();
  let state: "comparing" | "repeated" | "through" = "comparing";
  let held: ReplyPart[] = [];
  let words = "";

  const release = (): readonly ReplyPart[] => {
    state = "through";
    return joined(held, prefix);
  };

  const compare = (part: ReplyPart): readonly ReplyPart[] => {
    held.push(part);
    if (part.type === "audio") return [];
    words = (words + part.text).trimStart();
    if (!words.startsWith(said)) return said.startsWith(words) ? [] : release();
    state = "repeated";
    held = [];
    return skip({ ...part, text: words.slice(said.length) });
  };

  /** The whole was repeated: nothing goes through before there are new words. */
  const skip = (part: ReplyPart): readonly ReplyPart[] => {
    if (part.type === "audio") return [];
    const text = endsInSpace(prefix) ? part.text.trimStart() : part.text;
    if (text === "") return [];
    state = "through";
    return [{ ...part, text }];
  };

  return {
    push(part) {
      if (state === "through") return [part];
      return state === "comparing" ? compare(part) : skip(part);
    },
    end: () => (state === "comparing" ? release() : []),
  };
}

/** The parts, their first words fitted to what stands before them. */
function joined(parts: readonly ReplyPart[], prefix: string): readonly ReplyPart[] {
  let before: string | undefined = prefix;
  return parts.flatMap((part) => {
    if (part.type === "audio" || before === undefined) return [part];
    const text = spaced(part.text, before);
    before = text.trim() === "" ? before + text : undefined;
    return text === "" ? [] : [{ ...part, text }];
  });
}

/** A model that goes on after a full stop seldom begins with the space that belongs there. */
function spaced(text: string, before: string): string {
  if (endsInSpace(before)) return text.trimStart();
  return /[.!?…,;:]$/u.test(before) && /^\p{L}/u.test(text) ? ` ${text}` : text;
}

function endsInSpace(text: string): boolean {
  return /\s$/u.test(text);
}
