import { ProviderError } from "../../core/errors.ts";
import { isMostlyForeign, toLatin } from "../normalize/latin.ts";
import { normalizeText } from "../normalize/normalize.ts";
import type { Clause } from "../worker/worker-main.ts";

/** How a voice splits a text. */
export type EnglishTextOptions = {
  /** The tier's name, for errors. */
  readonly provider: string;
  /** True to transliterate a text mostly in another script; false to refuse it. */
  readonly transliterate: boolean;
  /** Writes a text out as it is spoken; in English if absent. */
  readonly normalize?: (text: string) => string;
};

/**
 * Creates a function that splits a text into normalized clauses, lazily. It yields none if there is
 * nothing to say. It refuses a text mostly in a non-Latin script as `language`, so that another
 * tier can speak it, unless `transliterate` is set.
 */
export function createTextClauses({
  provider,
  transliterate,
  normalize = (text) => normalizeText(toLatin(text)),
}: EnglishTextOptions): (text: string) => Iterable<Clause> {
  return function* clausesOf(text) {
    if (!transliterate && isMostlyForeign(text)) {
      throw new ProviderError(provider, "language", "the text is not in the Latin script");
    }
    for (const chunk of splitChunks(text)) yield* splitClauses(normalize(chunk));
  };
}

/** Longer texts are processed in chunks, so that the first audio does not wait for the whole. */
const maxUnits = 600;
/** Where to split, best first: after a sentence, after a clause, between words. */
const boundaries = [/^.*[.!?\n]\s/su, /^.*[,;:]\s/su, /^.*\s/su];

/**
 * Splits a text into chunks of at most 600 UTF-16 units, in the second half of each if possible.
 * Concatenated they are the text.
 */
export function* splitChunks(text: string): Generator<string> {
  let rest = text;
  while (rest.length > maxUnits) {
    const at = boundaryOf(rest.slice(0, maxUnits));
    yield rest.slice(0, at);
    rest = rest.slice(at);
  }
  yield rest;
}

function boundaryOf(chunk: string): number {
  const half = maxUnits / 2;
  const later = chunk.slice(half);
  const found = boundaries
    .map((boundary) => boundary.exec(later)?.[0].length)
    .find((length) => length);
  if (found) return half + found;
  // Not within a surrogate pair.
  return /[\ud800-\udbff]$/.test(chunk) ? maxUnits - 1 : maxUnits;
}

/**
 * Silence after a clause, by its last mark. A clause without a mark was split for its length, or ends
 * a chunk.
 */
const pauseMsAfter: { readonly [mark: string]: number } = {
  ",": 120,
  ".": 250,
  "!": 250,
  "?": 250,
};
const splitPauseMs = 30;

/** A shorter clause sounds choppy, and its run is mostly overhead. */
const minWords = 4;
/** A piece is split at least this far from its ends. */
const minSplitWords = 2;
/** The first clause is short, because its audio is awaited. It is split before one of these words. */
const minFirstWords = 2;
const maxFirstWords = 8;
const firstSplits = [5, 4, 6, 3, 7];
/** The cost of a run grows faster than its words. */
const maxWords = 12;
/**
 * A run cannot be stopped, so a clause is at most 3 s of audio. It is split by an estimate, which may
 * be too low by a seventh.
 */
const maxAudioMs = 2_600;
/** Duration of parts of a clause, fitted to 500 clauses of the voice `local`. Kokoro is faster. */
const durations = {
  clauseMs: 139,
  wordMs: 21,
  markMs: 154,
  letterMs: 70,
  /** A vowel, or several in a row, in addition to its letters. */
  vowelMs: 69,
  /** A word of one letter, in addition to its phonemes. */
  nameMs: 50,
  spelledPhonemeMs: 98,
};
/** Letters that together are mostly one phoneme, or none. */
const onePhoneme = /th|sh|ch|ph|ck|ng|gh|wh|qu|[aeiouy]{2}|(.)\1|e$|ed$/g;
/** Phonemes of a letter's name: "double-u", "aitch", "ex"; 2.2 for the others. */
const phonemesOfName: { readonly [letter: string]: number } = { w: 7, h: 3, x: 3 };
/** Words before which a long clause may be split. */
const splitWords =
  /^(?:und|oder|aber|denn|weil|dass|wenn|ob|damit|sondern|mit|für|von|zu|auf|bei|nach|aus|über|unter|zwischen|ohne|durch|gegen|seit|and|or|but|nor|so|because|although|though|while|when|where|which|who|that|if|unless|until|since|before|after|as|than|with|without|for|from|to|in|on|at|by|of|into|about|through|between)$/;

/**
 * Splits normalized text into clauses, in order and without losing a word: at marks, and before a
 * conjunction or preposition where there is no mark for long.
 */
export function splitClauses(text: string): readonly Clause[] {
  const [first, ...rest] = (text.match(/[^,.!?]+[,.!?]*/g) ?? [])
    .map((piece) => piece.trim().split(/\s+/))
    .flatMap(toPieces);
  const clauses: string[][] = [];
  let open: string[] = [];
  for (const { words, isPart } of [...(first ? splitFirst(first) : []), ...rest]) {
    if (isLong([...open, ...words])) open = close(clauses, open);
    open = [...open, ...words];
    // A part that was split for its length must not grow into the next clause.
    const minimum = clauses.length === 0 || isPart ? minFirstWords : minWords;
    if (open.length >= minimum || endsSentence(words)) open = close(clauses, open);
  }
  close(clauses, open);
  return clauses.map(toClause);
}

/** Words up to a mark, or a part of them. */
type Piece = { readonly words: string[]; readonly isPart: boolean };

function toPieces(words: string[]): Piece[] {
  const parts = splitLong(words);
  return parts.map((part) => ({ words: part, isPart: parts.length > 1 }));
}

function close(clauses: string[][], words: string[]): string[] {
  if (words.length > 0) clauses.push(words);
  return [];
}

function splitFirst(piece: Piece): Piece[] {
  const { words, isPart } = piece;
  if (words.length <= maxFirstWords) return [piece];
  const at = firstSplits.find(
    (place) => splitWords.test(words[place] ?? "") && words.length - place >= minWords,
  );
  if (at === undefined) return [piece];
  return [words.slice(0, at), words.slice(at)].map((part) => ({ words: part, isPart }));
}

/** Halves a piece that is too long, at the split word nearest to its middle, until all are short. */
function splitLong(words: string[]): string[][] {
  if (!isLong(words)) return [words];
  const [word = "", ...others] = words;
  if (others.length === 0) return splitWord(word).map((part) => [part]);
  const middle = words.length / 2;
  const places = words
    .map((_, at) => at)
    .filter((at) => at >= minSplitWords && at <= words.length - minSplitWords)
    .toSorted((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  const at = places.find((place) => splitWords.test(words[place] ?? "")) ?? Math.floor(middle);
  return [...splitLong(words.slice(0, at)), ...splitLong(words.slice(at))];
}

/** Splits a word that is too long into as few equal parts as possible. */
function splitWord(word: string): string[] {
  for (let count = 2; count < word.length; count++) {
    const length = Math.ceil(word.length / count);
    const parts = word.match(new RegExp(`.{1,${length}}`, "g")) ?? [];
    if (parts.every((part) => !isLong([part]))) return parts;
  }
  return Array.from(word);
}

function isLong(words: readonly string[]): boolean {
  return words.length > maxWords || audioMs(words) > maxAudioMs;
}

/** Estimates the duration of a clause. */
function audioMs(words: readonly string[]): number {
  return words.reduce((sum, word) => sum + wordAudioMs(word), durations.clauseMs);
}

function wordAudioMs(word: string): number {
  const letters = word
    .normalize("NFD")
    .replace(/[^a-zß]/g, "")
    .replaceAll("ß", "ss");
  const aroundMs = durations.wordMs + (/[,.!?]$/.test(word) ? durations.markMs : 0);
  if (/^[^ai]$/.test(letters)) return aroundMs + durations.nameMs + spelledMs(letters);
  return aroundMs + (/[aeiouy]/.test(letters) ? lettersMs(letters) : spelledMs(letters));
}

function lettersMs(letters: string): number {
  // No word has a letter three times in a row: its pronunciation is unknown.
  const isWord = !/(.)\1\1/.test(letters);
  const sounds = isWord ? letters.replace(onePhoneme, "-").replaceAll("x", "ks") : letters;
  const vowels = letters.replace(/e$/, "").match(/[aeiouy]+/g)?.length ?? 0;
  return (
    sounds.length * durations.letterMs + (isWord ? vowels : letters.length) * durations.vowelMs
  );
}

function spelledMs(letters: string): number {
  const phonemes = Array.from(letters, (letter) => phonemesOfName[letter] ?? 2.2);
  return phonemes.reduce((sum, count) => sum + count, 0) * durations.spelledPhonemeMs;
}

function endsSentence(words: readonly string[]): boolean {
  return /[.!?]$/.test(words.at(-1) ?? "");
}

function toClause(words: readonly string[]): Clause {
  const text = words.join(" ");
  return { text, pauseMs: pauseMsAfter[text.at(-1) ?? ""] ?? splitPauseMs };
}
