/**
 * Estimates how long texts take to say. The rates are ordinary paces of each script's languages; a real
 * voice is faster or slower by one factor, which its own sentences tell.
 */

/** Seconds a letter of an alphabet at 15 letters a second, with the spaces and marks in between. */
const ALPHABET = 1 / 15;
/** A digit is a syllable or two. */
const DIGIT = 0.2;

/** Seconds a character of the other scripts: first and last code point, ascending. */
const scripts: readonly (readonly [from: number, to: number, seconds: number])[] = [
  [0x0590, 0x08ff, 0.085], // Hebrew and Arabic leave vowels out.
  [0x0900, 0x0dff, 0.085], // Indic scripts.
  [0x0e00, 0x0eff, 0.085], // Thai and Lao.
  [0x0f00, 0x109f, 0.085], // Tibetan and Burmese.
  [0x1100, 0x11ff, 0.08], // Hangul letters.
  [0x1200, 0x139f, 0.17], // Ethiopic: a syllable each.
  [0x1780, 0x17ff, 0.085], // Khmer.
  [0x3000, 0x303f, 0.22], // Marks of Chinese and Japanese: a pause.
  [0x3040, 0x30ff, 0.13], // Kana: a mora each.
  [0x31f0, 0x31ff, 0.13],
  [0x3400, 0x9fff, 0.22], // Han: a syllable, or two in Japanese.
  [0xa000, 0xa4cf, 0.2], // Yi: a syllable each.
  [0xac00, 0xd7af, 0.18], // Hangul: a syllable each.
  [0xf900, 0xfaff, 0.22],
  [0xff00, 0xff65, 0.22], // Full-width marks and letters.
  [0xff66, 0xff9f, 0.13],
  [0x20000, 0x3ffff, 0.22],
];

/** The fastest voice that anybody could follow needs this share of the ordinary time. */
export const FASTEST = 15 / 40;

/** Seconds that a text takes at an ordinary pace, by its scripts. Counts spaces and marks. */
export function ordinarySeconds(text: string): number {
  let seconds = 0;
  // White space takes time once.
  for (const character of text.replaceAll(/\s{2,}/gu, " ")) {
    seconds += secondsOf(character.codePointAt(0) ?? 0);
  }
  return seconds;
}

function secondsOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return DIGIT;
  if (code < 0x0590) return ALPHABET;
  const script = scripts.find(([, to]) => code <= to);
  return script && code >= script[0] ? script[2] : ALPHABET;
}
