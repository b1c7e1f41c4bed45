import type { PronouncedToken } from "../english/pronounce.ts";

/** CMUdict's phonemes in Kokoro's spelling: mostly IPA, with capitals for what glides. */
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
/** Two vowels are others where no stress is. */
const unstressedOf: { readonly [phoneme: string]: string | undefined } = { ah: "ə", er: "əɹ" };

/** Before a vowel, by the tone of the pronunciation: 1 no stress, 2 the main one, 3 a lesser one. */
const stressMarks = ["", "", "ˈ", "ˌ"];
const vowels = "ɑæʌɔWIɛɜAɪiOYʊuəᵊ";

/** Small words that a sentence does not stress. */
const unstressedWords = new Set(
  (
    "and or but nor of for at from with as than is was were are am be been that this these those it its " +
    "he she you we they i me him her us them my your his our their have has had do does did can could " +
    "will would shall should may might must if so by in on the a an to into just not some any"
  ).split(" "),
);
/** Those of them that are said in another way before a vowel. */
const reducedWords: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["a", ["ɐ", "ɐ"]],
  ["an", ["ɐn", "ɐn"]],
  ["the", ["ðə", "ði"]],
  ["to", ["tə", "tʊ"]],
]);

/**
 * Writes a clause's pronunciation as Kokoro was taught to read it: words between single spaces,
 * marks behind their word, stress before its vowel: "həlˈO, ðə wˈɔTəɹ." Phonemes that are not
 * English are left out.
 */
export function toKokoroPhonemes(tokens: readonly PronouncedToken[]): string {
  return tokens.reduceRight((after, token) => {
    if (/[,.!?]/.test(token.text)) return `${token.text} ${after}`.trimEnd();
    const word = spellWord(token, after);
    // A mark stands directly behind its word.
    return /^[,.!?]/.test(after) || after === "" || word === ""
      ? `${word}${after}`
      : `${word} ${after}`;
  }, "");
}

function spellWord({ text, symbols, tones }: PronouncedToken, after: string): string {
  const reduced = reducedWords.get(text);
  // At the end, and before a mark, a small word is said in full.
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

/** Americans say the "t" of "water" with a flap. */
function flapT(word: string): string {
  return word.replace(new RegExp(`(?<=[${vowels}]ɹ?)t(?=[${vowels}])`, "g"), "T");
}

/** "little", "button": hardly a vowel before the last consonant. */
function softenEnding(word: string): string {
  return word.replace(new RegExp(`(?<=[^${vowels}ɹˈˌ])ə(?=[ln]$)`), "ᵊ");
}

function beginsWithVowel(phonemes: string): boolean {
  return new RegExp(`^[ˈˌ]?[${vowels}]`).test(phonemes);
}
