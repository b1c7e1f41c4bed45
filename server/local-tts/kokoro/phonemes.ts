import type { PronouncedToken } from "../english/pronounce.ts";

/** CMUdict's phonemes in Kokoro's notation: mostly IPA, with capitals for diphthongs. */
const symbolOf: { readonly [phoneme: string]: string | undefined } = {
  aa: "ɑ",
  ae: "æ",
  ah: "ʌ",
  ao: "ɔ",
  aw: "W",
  ay: "I",
  b: "b",
  ch: "ʧ",
  d: "d",
  dh: "ð",
  eh: "ɛ",
  er: "ɜɹ",
  ey: "A",
  f: "f",
  g: "ɡ",
  hh: "h",
  ih: "ɪ",
  iy: "i",
  jh: "ʤ",
  k: "k",
  l: "l",
  m: "m",
  n: "n",
  ng: "ŋ",
  ow: "O",
  oy: "Y",
  p: "p",
  r: "ɹ",
  s: "s",
  sh: "ʃ",
  t: "t",
  th: "θ",
  uh: "ʊ",
  uw: "u",
  v: "v",
  w: "w",
  y: "j",
  z: "z",
  zh: "ʒ",
};
/** Two vowels differ without stress. */
const unstressedOf: { readonly [phoneme: string]: string | undefined } = { ah: "ə", er: "əɹ" };

/** Stands before a vowel, by its tone: 1 no stress, 2 primary stress, 3 secondary stress. */
const stressMarks = ["", "", "ˈ", "ˌ"];
const vowels = "ɑæʌɔWIɛɜAɪiOYʊuəᵊ";

/** Function words, which are not stressed. */
const unstressedWords = new Set(
  (
    "and or but nor of for at from with as than is was were are am be been that this these those it its " +
    "he she you we they i me him her us them my your his our their have has had do does did can could " +
    "will would shall should may might must if so by in on the a an to into just not some any"
  ).split(" "),
);
/** Weak forms before a consonant and before a vowel. */
const reducedWords: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["a", ["ɐ", "ɐ"]],
  ["an", ["ɐn", "ɐn"]],
  ["the", ["ðə", "ði"]],
  ["to", ["tə", "tʊ"]],
]);

/**
 * Converts a clause's pronunciation to Kokoro's notation: words separated by single spaces, marks
 * directly after their word, stress before its vowel: "həlˈO, ðə wˈɔTəɹ." Leaves out phonemes that
 * are not English.
 */
export function toKokoroPhonemes(tokens: readonly PronouncedToken[]): string {
  return tokens.reduceRight((after, token) => {
    if (/[,.!?]/.test(token.text)) return `${token.text} ${after}`.trimEnd();
    const word = spellWord(token, after);
    // A mark stands directly after its word.
    return /^[,.!?]/.test(after) || after === "" || word === ""
      ? `${word}${after}`
      : `${word} ${after}`;
  }, "");
}

function spellWord({ text, symbols, tones }: PronouncedToken, after: string): string {
  const reduced = reducedWords.get(text);
  // At the end and before a mark a function word has its strong form.
  if (reduced && /^[^,.!?]/.test(after)) return reduced[beginsWithVowel(after) ? 1 : 0];
  const word = symbols.map((symbol, at) => spellPhoneme(symbol, tones[at] ?? 0)).join("");
  const natural = softenEnding(flapT(word));
  return unstressedWords.has(text) ? natural.replace(/[ˈˌ]/g, "") : natural;
}

function spellPhoneme(symbol: string, tone: number): string {
  const phoneme = symbol.toLowerCase();
  if (tone <= 1 && unstressedOf[phoneme]) return unstressedOf[phoneme];
  return `${stressMarks[tone] ?? ""}${symbolOf[phoneme] ?? ""}`;
}

/** The flapped "t" of American "water". */
function flapT(word: string): string {
  return word.replace(new RegExp(`(?<=[${vowels}]ɹ?)t(?=[${vowels}])`, "g"), "T");
}

/** The reduced vowel before the last consonant of "little" and "button". */
function softenEnding(word: string): string {
  return word.replace(new RegExp(`(?<=[^${vowels}ɹˈˌ])ə(?=[ln]$)`), "ᵊ");
}

function beginsWithVowel(phonemes: string): boolean {
  return new RegExp(`^[ˈˌ]?[${vowels}]`).test(phonemes);
}
