import type { SpeakRequest } from "../worker/messages.ts";

/**
 * Silence after a clause, by its last mark. A clause without one was cut for its length, or is the
 * end of a text that goes on.
 */
const pauseMsAfter: { readonly [mark: string]: number } = {
  ",": 120,
  ".": 250,
  "!": 250,
  "?": 250,
};
const cutPauseMs = 30;

/** Below this a clause sounds choppy by itself, and its run is mostly overhead. */
const leastWords = 4;
/** The first clause is made short, for its sound is waited for: cut before one of these words. */
const leastFirstWords = 2;
const mostFirstWords = 8;
const firstCuts = [5, 4, 6, 3, 7];
/** Above this a run takes long, and its cost grows faster than its words. */
const mostWords = 12;
const mostLetters = 100;
/** Words that a long clause may be cut before. */
const joints =
  /^(?:and|or|but|nor|so|because|although|though|while|when|where|which|who|that|if|unless|until|since|before|after|as|than|with|without|for|from|to|in|on|at|by|of|into|about|through|between)$/;

/**
 * Cuts written-out text into clauses, in order and with no word lost: at marks, and at a joint of
 * the sentence where there is none for long.
 */
export function cutClauses(text: string): readonly SpeakRequest[] {
  const [first = [], ...rest] = (text.match(/[^,.!?]+[,.!?]*/g) ?? [])
    .map((piece) => piece.trim().split(/\s+/))
    .flatMap(cutLong);
  const clauses: string[][] = [];
  let open: string[] = [];
  for (const piece of [...cutFirst(first), ...rest]) {
    if (isLong([...open, ...piece])) open = close(clauses, open);
    open = [...open, ...piece];
    const least = clauses.length === 0 ? leastFirstWords : leastWords;
    if (open.length >= least || endsSentence(piece)) open = close(clauses, open);
  }
  close(clauses, open);
  return clauses.map(toRequest);
}

function close(clauses: string[][], words: string[]): string[] {
  if (words.length > 0) clauses.push(words);
  return [];
}

function cutFirst(words: string[]): string[][] {
  if (words.length <= mostFirstWords) return [words];
  const at = firstCuts.find(
    (place) => joints.test(words[place] ?? "") && words.length - place >= leastWords,
  );
  return at === undefined ? [words] : [words.slice(0, at), words.slice(at)];
}

/** Halves a piece that is too long, at the joint nearest to its middle, until all are short. */
function cutLong(words: string[]): string[][] {
  if (!isLong(words) || words.length < 2) return [words];
  const middle = words.length / 2;
  const places = words
    .map((_, at) => at)
    .filter((at) => at >= leastWords && at <= words.length - leastWords)
    .toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  const at = places.find((place) => joints.test(words[place] ?? "")) ?? Math.floor(middle);
  return [...cutLong(words.slice(0, at)), ...cutLong(words.slice(at))];
}

function isLong(words: readonly string[]): boolean {
  return words.length > mostWords || words.join(" ").length > mostLetters;
}

function endsSentence(words: readonly string[]): boolean {
  return /[.!?]$/.test(words.at(-1) ?? "");
}

function toRequest(words: readonly string[]): SpeakRequest {
  const text = words.join(" ");
  return { text, pauseMs: pauseMsAfter[text.at(-1) ?? ""] ?? cutPauseMs };
}
