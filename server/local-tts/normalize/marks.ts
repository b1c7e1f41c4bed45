import { applyRules, type Rule } from "./rule.ts";

/** Markup: Markdown and HTML. */
const markup: readonly Rule[] = [
  [/\r\n?|[\u0085\u2028\u2029]/g, () => "\n"],
  [/[^\S\n]+/g, () => " "],
  [/\n{3,}/g, () => "\n\n"],
  [/^[ \t]*(?:```|~~~).*$/gm, () => ""],
  [
    /!?\[([^\]\n]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+"[^"\n]*")?\)/g,
    ([, words]) => words || " ",
  ],
  [/(?<=\S)\[\^?\d{1,3}\]/g, () => ""],
  [/<(https?:\/\/[^<>\s]+)>/g, ([, url]) => url],
  [/<\/?[A-Za-z][A-Za-z0-9-]{0,20}(?:\s[^<>]{0,300})?\/?>|<!--[^<>]{0,300}-->/g, () => " "],
  [/&(amp|lt|gt|quot|apos|nbsp|#39);/g, ([, name]) => entities[name] ?? " "],
  [/^[ \t]{0,3}#{1,6}[ \t]+/gm, () => ""],
  [/^[ \t]{0,3}(?:[-*_][ \t]*){3,}$/gm, () => ""],
  [/^[ \t]*(?:>[ \t]?)+/gm, () => ""],
  [/^[ \t]*[-*+•‣◦▪][ \t]+(?:\[[ xX]\][ \t]+)?/gm, () => ""],
  [/^[ \t]*(\d{1,3})[.)][ \t]+(?=\S)/gm, ([, number]) => `${number}, `],
  [/^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*(?:\|[ \t]*:?-{3,}:?[ \t]*)*\|?[ \t]*$/gm, () => ""],
  [/`+/g, () => ""],
  [/(?<!\w)(\*{1,3}|_{1,3}|~~)(?=\S)([^*_~\n]+)(?<=\S)\1(?!\w)/g, ([, , words]) => words],
  [/\*\*|__(?=\s|$)|(?<=^|\s)__|~~/g, () => ""],
];
const entities: { readonly [name: string]: string } = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  "#39": "'",
  nbsp: " ",
};

/** Characters with a plain equivalent, and those that are not spoken. */
const plain: readonly Rule[] = [
  [/[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/g, () => ""],
  // Emoji, their modifiers and flags, but not ©, ® and ™, which are spoken.
  [
    /(?![©®™#*\d])(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator})(?:\u{fe0f}|\u{200d}|[\u{e0020}-\u{e007f}])*/gu,
    () => " ",
  ],
  [/[\u{fe00}-\u{fe0f}\u{20e3}\u{e0020}-\u{e007f}]/gu, () => ""],
  [/(?<=^|\s)[:;=]-?[)(DPpO|](?=\s|$)/g, () => " "],
  [/[‘’‚‛′`´ʼ]/g, () => "'"],
  [/[“”„‟″«»「」『』]/g, () => '"'],
  [/(?<=\d)\s?[‐‑‒–—−]\s?(?=[$€£¥]?\d)|(?<!\S)[−–](?=[$€£¥]?\d)|[‐‑]/g, () => "-"],
  [/\s*(?:[–—―]|--+)\s*|\s+-\s+(?!\d)|(?<!\d)\s+-\s+/g, () => ", "],
  [/−/g, () => "-"],
  [/…/g, () => "..."],
  [/[。．｡]/g, () => ". "],
  [/[、，､；]/g, () => ", "],
  [/[¼-¾⅐-⅞]/g, ([sign]) => ` ${sign.normalize("NFKC").replace("⁄", "/")}`],
];

/** Line ends: a blank line ends a sentence, a single line end does not. */
const lines: readonly Rule[] = [
  [/[ \t]*\n[ \t]*/g, () => "\n"],
  [/(?<=[^\s.!?,:;])\n{2,}/g, () => ". "],
  [/\n+/g, () => " "],
];

/**
 * Removes markup (Markdown, HTML tags) and emoji, and simplifies typographic marks: quotes, dashes (a
 * pause, or a hyphen between digits), fractions, spaces.
 */
export function normalizeMarks(text: string): string {
  return applyRules(applyRules(applyRules(text, markup), plain), lines);
}
