/** A word as it is written, with the marks around it and the white space after it. */
export type Word = {
  readonly text: string;
  /** How long it takes to say, next to other words: about the number of its letters. */
  readonly weight: number;
};

/** When a word is heard: from its first sample up to the first after it, of the whole reply. */
export type WordTiming = {
  /** As it stands in the text, without marks and white space. */
  readonly word: string;
  readonly startSample: number;
  readonly endSample: number;
};

// Scripts that put no space between words. The long-vowel marks belong to no one script.
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ーｰ\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const ofWord = /[\p{L}\p{M}\p{N}]/u;
const digitWeight = 3;
const clauseWeight = 2;

/** Cuts a text into words. Joined they are the text, letter by letter. */
export function splitWords(text: string): readonly Word[] {
  const pieces = text.match(/^\s+(?=\S)|\S+\s*|\s+/g) ?? [];
  const leading = pieces.length > 1 && pieces[0]?.trim() === "" ? (pieces.shift() ?? "") : "";
  const words = pieces.flatMap((piece) => (unspaced.test(piece) ? segment(piece) : [piece]));
  return words.map((word, index) => weigh(index === 0 ? leading + word : word));
}

/**
 * Where `word` stands in `text`, at `from` or behind it, in UTF-16 units; -1 where it does not. A
 * part of a longer word is no match, but in scripts that do not show where words end.
 */
export function findWord(text: string, word: string, from: number): number {
  if (word === "") return -1;
  let at = text.indexOf(word, from);
  while (at >= 0 && (isInside(text, at) || isInside(text, at + word.length))) {
    at = text.indexOf(word, at + 1);
  }
  return at;
}

/** True where the place between two characters is the inside of a word. */
function isInside(text: string, at: number): boolean {
  const before = /.$/su.exec(text.slice(Math.max(0, at - 2), at))?.[0] ?? "";
  const after = String.fromCodePoint(text.codePointAt(at) ?? 0x20);
  return [before, after].every((letter) => ofWord.test(letter) && !unspaced.test(letter));
}

function segment(piece: string): string[] {
  const words: string[] = [];
  for (const part of new Intl.Segmenter(undefined, { granularity: "word" }).segment(piece)) {
    if (part.isWordLike || words.length === 0) words.push(part.segment);
    else words.push((words.pop() ?? "") + part.segment);
  }
  return words;
}

function weigh(text: string): Word {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const digits = text.match(/\p{N}/gu)?.length ?? 0;
  if (letters + digits === 0) return { text, weight: 0 };
  const pause = /[,;:.!?…]["'”’)]*\s*$/u.test(text) ? clauseWeight : 0;
  return { text, weight: letters + digits * digitWeight + pause + 1 };
}
