import { ProviderError } from "../../core/errors.ts";
import { isMostlyForeign, toLatin } from "../normalize/latin.ts";
import { normalizeText } from "../normalize/normalize.ts";
import type { SpeakRequest } from "../worker/worker-main.ts";

/** How an English voice takes a text. */
export type EnglishTextOptions = {
  /** The tier that asks, to name in errors. */
  readonly provider: string;
  /** Whether a text mostly in another script is romanised and spoken; else it is refused. */
  readonly transliterate: boolean;
};

/**
 * Creates the way from a text to its clauses, written out as an English voice says them. They are
 * made as they are asked for; there are none if there is nothing to say. A text mostly in a non-Latin
 * script is refused as `unsupported`, for another tier to speak, unless `transliterate` is set.
 */
export function createTextClauses({
  provider,
  transliterate,
}: EnglishTextOptions): (text: string) => Iterable<SpeakRequest> {
  return function* clausesOf(text) {
    if (!transliterate && isMostlyForeign(text)) {
      throw new ProviderError(provider, "unsupported", "the text is not in the Latin script");
    }
    for (const slice of cutChunks(text)) yield* cutClauses(normalizeText(toLatin(slice)));
  };
}

/** Longer texts are worked on slice by slice, so that the first sound does not wait for the last. */
const mostUnits = 600;
/** Where to cut, best first: behind a sentence, behind a clause, between words. */
const borders = [/^.*[.!?\n]\s/su, /^.*[,;:]\s/su, /^.*\s/su];

/**
 * Cuts a text into slices of at most 600 UTF-16 units, in the later half of each where it can.
 * Joined as they stand they are the text.
 */
export function* cutChunks(text: string): Generator<string> {
  let rest = text;
  while (rest.length > mostUnits) {
    const at = borderOf(rest.slice(0, mostUnits));
    yield rest.slice(0, at);
    rest = rest.slice(at);
  }
  yield rest;
}

function borderOf(slice: string): number {
  const half = mostUnits / 2;
  const later = slice.slice(half);
  const found = borders.map((border) => border.exec(later)?.[0].length).find((length) => length);
  if (found) return half + found;
  // Not between the two halves of one character.
  return /[\ud800-\udbff]$/.test(slice) ? mostUnits - 1 : mostUnits;
}

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
/** A piece is not cut nearer to its ends, where it has a joint farther away. */
const leastCutWords = 2;
/** The first clause is made short, for its sound is waited for: cut before one of these words. */
const leastFirstWords = 2;
const mostFirstWords = 8;
const firstCuts = [5, 4, 6, 3, 7];
/** Above this a run takes long, and its cost grows faster than its words. */
const mostWords = 12;
/**
 * A run cannot be stopped, so a clause is at most 3 s of sound. It is cut by an estimate, which a
 * clause may exceed by a seventh.
 */
const mostSoundMs = 2_600;
/** How long the local voice takes, fitted to 500 clauses that it spoke. Kokoro is faster. */
const soundOf = {
  clauseMs: 139,
  wordMs: 21,
  markMs: 154,
  letterMs: 70,
  /** A vowel, or several in a row, beside its letters. */
  vowelMs: 69,
  /** A word of one letter, beside its phonemes. */
  nameMs: 50,
  spelledPhonemeMs: 98,
};
/** Letters that are mostly one phoneme, or none, together. */
const oneSound = /th|sh|ch|ph|ck|ng|gh|wh|qu|[aeiouy]{2}|(.)\1|e$|ed$/g;
/** Phonemes of a letter's name: "double-u", "aitch", "ex" and the others. */
const phonemesOfName: { readonly [letter: string]: number } = { w: 7, h: 3, x: 3 };
/** Words that a long clause may be cut before. */
const joints =
  /^(?:and|or|but|nor|so|because|although|though|while|when|where|which|who|that|if|unless|until|since|before|after|as|than|with|without|for|from|to|in|on|at|by|of|into|about|through|between)$/;

/**
 * Cuts written-out text into clauses, in order and with no word lost: at marks, and at a joint of
 * the sentence where there is none for long.
 */
export function cutClauses(text: string): readonly SpeakRequest[] {
  const [first, ...rest] = (text.match(/[^,.!?]+[,.!?]*/g) ?? [])
    .map((piece) => piece.trim().split(/\s+/))
    .flatMap(toPieces);
  const clauses: string[][] = [];
  let open: string[] = [];
  for (const { words, isPart } of [...(first ? cutFirst(first) : []), ...rest]) {
    if (isLong([...open, ...words])) open = close(clauses, open);
    open = [...open, ...words];
    // What was cut for its length is not to grow into the next clause.
    const least = clauses.length === 0 || isPart ? leastFirstWords : leastWords;
    if (open.length >= least || endsSentence(words)) open = close(clauses, open);
  }
  close(clauses, open);
  return clauses.map(toRequest);
}

/** Words up to a mark, or a part of them that was cut. */
type Piece = { readonly words: string[]; readonly isPart: boolean };

function toPieces(words: string[]): Piece[] {
  const parts = cutLong(words);
  return parts.map((part) => ({ words: part, isPart: parts.length > 1 }));
}

function close(clauses: string[][], words: string[]): string[] {
  if (words.length > 0) clauses.push(words);
  return [];
}

function cutFirst(piece: Piece): Piece[] {
  const { words, isPart } = piece;
  if (words.length <= mostFirstWords) return [piece];
  const at = firstCuts.find(
    (place) => joints.test(words[place] ?? "") && words.length - place >= leastWords,
  );
  if (at === undefined) return [piece];
  return [words.slice(0, at), words.slice(at)].map((part) => ({ words: part, isPart }));
}

/** Halves a piece that is too long, at the joint nearest to its middle, until all are short. */
function cutLong(words: string[]): string[][] {
  if (!isLong(words)) return [words];
  const [word = "", ...others] = words;
  if (others.length === 0) return cutWord(word).map((part) => [part]);
  const middle = words.length / 2;
  const places = words
    .map((_, at) => at)
    .filter((at) => at >= leastCutWords && at <= words.length - leastCutWords)
    .toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  const at = places.find((place) => joints.test(words[place] ?? "")) ?? Math.floor(middle);
  return [...cutLong(words.slice(0, at)), ...cutLong(words.slice(at))];
}

/** Cuts a word that is too long by itself into equal parts, as few as will do. */
function cutWord(word: string): string[] {
  for (let count = 2; count < word.length; count++) {
    const length = Math.ceil(word.length / count);
    const parts = word.match(new RegExp(`.{1,${length}}`, "g")) ?? [];
    if (parts.every((part) => !isLong([part]))) return parts;
  }
  return Array.from(word);
}

function isLong(words: readonly string[]): boolean {
  return words.length > mostWords || soundMs(words) > mostSoundMs;
}

/** How long a clause is heard, about. */
function soundMs(words: readonly string[]): number {
  return words.reduce((sum, word) => sum + wordSoundMs(word), soundOf.clauseMs);
}

function wordSoundMs(word: string): number {
  const letters = word.replace(/[^a-z]/g, "");
  const aroundMs = soundOf.wordMs + (/[,.!?]$/.test(word) ? soundOf.markMs : 0);
  if (/^[^ai]$/.test(letters)) return aroundMs + soundOf.nameMs + spelledMs(letters);
  return aroundMs + (/[aeiouy]/.test(letters) ? lettersMs(letters) : spelledMs(letters));
}

function lettersMs(letters: string): number {
  // No word has a letter three times in a row: there is no telling how it is said.
  const isWord = !/(.)\1\1/.test(letters);
  const sounds = isWord ? letters.replace(oneSound, "-").replaceAll("x", "ks") : letters;
  const vowels = letters.replace(/e$/, "").match(/[aeiouy]+/g)?.length ?? 0;
  return sounds.length * soundOf.letterMs + (isWord ? vowels : letters.length) * soundOf.vowelMs;
}

function spelledMs(letters: string): number {
  const phonemes = Array.from(letters, (letter) => phonemesOfName[letter] ?? 2.2);
  return phonemes.reduce((sum, count) => sum + count, 0) * soundOf.spelledPhonemeMs;
}

function endsSentence(words: readonly string[]): boolean {
  return /[.!?]$/.test(words.at(-1) ?? "");
}

function toRequest(words: readonly string[]): SpeakRequest {
  const text = words.join(" ");
  return { text, pauseMs: pauseMsAfter[text.at(-1) ?? ""] ?? cutPauseMs };
}
