// What a character means to the scanner. A character is one code point, or a lone surrogate.

/** White space of any kind, line ends among it. */
export function isSpace(character: string): boolean {
  return character === " " || /[\s\u0085]/u.test(character);
}

/** A character that ends a line. */
export function isNewline(character: string): boolean {
  return /[\n\r\v\f\u0085\u2028\u2029]/u.test(character);
}

/**
 * How a character can end a sentence, from the least certain to the most.
 * - `dot`: a full stop, which also abbreviates and stands inside numbers and addresses.
 * - `dots`: an ellipsis, which also trails off in the middle.
 * - `mark`: `!` and `?`, which also stand inside addresses and names.
 * - `full`: the marks of other scripts, which do nothing else.
 */
export type Terminator = "dot" | "dots" | "mark" | "full";

/** The kind of terminator that the character is, if it is one. */
export function terminatorOf(character: string): Terminator | undefined {
  if (character === ".") return "dot";
  if (character === "!" || character === "?") return "mark";
  if (character === "…") return "dots";
  if (isAscii(character)) return undefined;
  // U+037E is the Greek question mark.
  return /[\p{Sentence_Terminal}\u037e]/u.test(character) ? "full" : undefined;
}

/**
 * A character that belongs to the sentence when it follows the terminator at once: closing quotes
 * and brackets, the marks that Markdown puts around words, and emoji.
 */
export function isCloser(character: string): boolean {
  if (isAscii(character)) return "\"')]}*_`".includes(character);
  // The last two join and colour emoji.
  return /[\p{Pe}\p{Pf}\p{Extended_Pictographic}\p{EMod}\p{RI}]|\u200d|\ufe0f/u.test(character);
}

const openedBy: Record<string, string> = { "“": "„", "‘": "‚", "«": "»" };

/** For a quote that closes in some languages and opens in others: the one that it would close. */
export function openerOf(character: string): string | undefined {
  return openedBy[character];
}

/** A mark between clauses: comma, semicolon, colon, dash, in any script. */
export function isClauseMark(character: string): boolean {
  return ",;:—–、，；：،؛﹐﹑﹔﹕､".includes(character);
}

/** A letter or mark of Chinese or Japanese, which are written without spaces. */
export function isUnspaced(character: string): boolean {
  if (isAscii(character)) return false;
  return /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\u3000-\u303f\uff01-\uffef]/u.test(character);
}

/** A small letter of a script that has capitals. */
export function isLowerCase(character: string): boolean {
  return /\p{Ll}/u.test(character);
}

/** A digit of any script. */
export function isDigit(character: string): boolean {
  return /\p{Nd}/u.test(character);
}

function isAscii(character: string): boolean {
  return character < "\u0080";
}
