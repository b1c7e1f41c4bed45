import { normalizeMarks } from "../normalize/marks.ts";
import { applyRules, type Rule, stopAtEnd } from "../normalize/rule.ts";
import { money, quantities } from "./amounts.ts";
import { dates } from "./dates.ts";
import { cardinal, counted, number, ordinal, quantity, spellDigits, year } from "./numbers.ts";

/** Written with their dots; the first that fits is taken. */
const abbreviations: readonly (readonly [string, string])[] = [
  [String.raw`z\. ?B\.`, "zum Beispiel"],
  [String.raw`d\. ?h\.`, "das heißt"],
  [String.raw`u\. ?a\.`, "unter anderem"],
  [String.raw`u\. ?ä\.`, "und ähnliches"],
  [String.raw`i\. ?d\. ?R\.`, "in der Regel"],
  [String.raw`o\. ?ä\.`, "oder ähnliches"],
  [String.raw`z\. ?T\.`, "zum Teil"],
  [String.raw`v\. ?Chr\.`, "vor Christus"],
  [String.raw`n\. ?Chr\.`, "nach Christus"],
  ["bzw\\.", "beziehungsweise"],
  ["usw\\.", "und so weiter"],
  ["evtl\\.", "eventuell"],
  ["ggf\\.", "gegebenenfalls"],
  ["ca\\.", "circa"],
  ["etc\\.", "et cetera"],
  ["inkl\\.", "inklusive"],
  ["exkl\\.", "exklusive"],
  ["zzgl\\.", "zuzüglich"],
  ["vgl\\.", "vergleiche"],
  ["max\\.", "maximal"],
  ["min\\.", "minimal"],
  ["Dr\\.", "Doktor"],
  ["Prof\\.", "Professor"],
  ["Hr\\.", "Herr"],
  ["Fr\\.", "Frau"],
  ["Nr\\.", "Nummer"],
  ["St\\.", "Sankt"],
  ["Str\\.", "Straße"],
  ["Mio\\.", "Millionen"],
  ["Mrd\\.", "Milliarden"],
  ["Tel\\.", "Telefon"],
  ["S\\.(?= ?\\d)", "Seite"],
];
const written: readonly Rule[] = [
  ...abbreviations.map(
    ([short, long]): Rule => [
      new RegExp(String.raw`(?<![\p{L}\d])${short}`, "gu"),
      (_, rest) => `${long}${stopAtEnd(rest)} `,
    ],
  ),
  [/(?<=\p{Ll})str\.(?= ?\d)/gu, () => "straße"],
];

const numbers: readonly Rule[] = [
  [/(?<=\d) ?\+ ?(?=\d)/gu, () => " plus "],
  [/(?<=\d) ?[×*] ?(?=\d)/gu, () => " mal "],
  [/(?<=\d) ?÷ ?(?=\d)/gu, () => " geteilt durch "],
  [/(?<=\d) ?= ?(?=\d)/gu, () => " gleich "],
  [/(?<![\p{L}\d])[-−](?=\d)/gu, () => "minus "],
  // 1/2, 3/4
  [/(?<![\d/])1\/2(?![\d/])/gu, () => "ein halb"],
  [
    /(?<![\d/])([1-9])\/([3-9])(?![\d/])/gu,
    ([, over, under]) => `${counted(over)} ${ordinal(under)}l`,
  ],
  // A telephone number or an id.
  [/(?<![\d.,])(0\d{2,}|\d{7,})(?<!000)(?![\d,])/gu, ([digits]) => ` ${spellDigits(digits)} `],
  // Years: 1999, but not 1.999 or 1999,5.
  [/(?<![\d.,])(1[1-9]\d\d)(?![\d]|[.,]\d)/gu, ([digits]) => ` ${year(digits)} `],
  // "Der 2. Versuch", "der 2. Weltkrieg": an ordinal before a noun, but not at the end of a sentence.
  [/(?<=\b(?:der|die|das) )(\d{1,3})\.(?= \p{Lu})/giu, ([, digits]) => ordinal(digits)],
  [
    /(?<=\b(?:dem|den|des|im|am|zum|zur|vom) )(\d{1,3})\.(?= \p{Lu})/giu,
    ([, digits]) => ordinal(digits, "n"),
  ],
  [
    /(?<![\d.])(?!\d{1,3}(?:\.\d{3})+(?!\d))(\d+)\.(\d+)\.(\d+)(?!\d)/gu,
    ([, a, b, c]) => `${cardinal(a)} punkt ${cardinal(b)} punkt ${cardinal(c)}`,
  ],
  [new RegExp(number, "gu"), ([digits]) => ` ${quantity(digits)} `],
];

const symbols: readonly Rule[] = [
  [/&/gu, () => " und "],
  [/\+/gu, () => " plus "],
  [/=/gu, () => " gleich "],
  [/@/gu, () => " ät "],
  [/§+/gu, () => " Paragraf "],
  [/%/gu, () => " Prozent "],
  [/€/gu, () => " Euro "],
  [/#/gu, () => " "],
  [/(?<=\p{L})\/(?=\p{L})/gu, () => " "],
];

const letterNames: Readonly<Record<string, string>> = {
  a: "ah",
  b: "beh",
  c: "zeh",
  d: "deh",
  e: "eh",
  f: "eff",
  g: "geh",
  h: "hah",
  i: "ih",
  j: "jott",
  k: "kah",
  l: "ell",
  m: "emm",
  n: "enn",
  o: "oh",
  p: "peh",
  q: "kuh",
  r: "err",
  s: "ess",
  t: "teh",
  u: "uh",
  v: "fau",
  w: "weh",
  x: "iks",
  y: "üpsilon",
  z: "zett",
  ä: "äh",
  ö: "öh",
  ü: "üh",
  ß: "ess zett",
};
const spelled: readonly Rule[] = [
  // "LKW", "ICE"; and letters that stand alone.
  [
    /(?<!\p{L})\p{Lu}{2,5}(?!\p{L})/gu,
    ([all]) => Array.from(all.toLowerCase(), (letter) => letterNames[letter] ?? letter).join(" "),
  ],
  [/(?<![\p{L}'])\p{L}(?![\p{L}'])/gu, ([letter]) => letterNames[letter.toLowerCase()] ?? letter],
  [
    /(?<![\p{L}])([bcdfghjklmnpqrstvwxz]{2,5})(?!\p{L})/giu,
    ([all]) => Array.from(all.toLowerCase(), (letter) => letterNames[letter] ?? letter).join(" "),
  ],
];

/** Longer words are split, to limit the length of a clause. */
const MOST_LETTERS = 40;

/**
 * Normalizes a text to its spoken form in German: "Am 3.10. kostet es 3,50 €." becomes "am dritten
 * oktober kostet es drei euro fünfzig."
 *
 * The result contains lower-case letters a to z, ä, ö, ü and ß, single spaces and the marks `,.!?` after
 * words. It is empty if there is nothing to say.
 */
export function normalizeGerman(text: string): string {
  const steps = [written, dates, money, quantities, numbers, symbols, spelled];
  const spoken = steps.reduce(
    (done, rules) => applyRules(done, rules),
    normalizeMarks(text.normalize("NFC")),
  );
  return tidy(spoken);
}

function tidy(text: string): string {
  return withoutAccents(text.toLowerCase())
    .replace(/[^a-zäöüß ,.!?;:]/gu, " ")
    .replace(/[;:]/g, ",")
    .replace(new RegExp(`[a-zäöüß]{${MOST_LETTERS}}(?=[a-zäöüß])`, "gu"), "$& ")
    .replace(/\s*([,.!?])[\s,.!?]*/g, (marks) => `${strongest(marks)} `)
    .replace(/^[\s,.!?]+/, "")
    .replace(/\s+/g, " ")
    .trim();
}

/** Accents that German does not know: "café" is "cafe". */
function withoutAccents(text: string): string {
  return text.replace(/[^äöüß\p{ASCII}]/gu, (letter) =>
    letter.normalize("NFD").replace(/\p{M}/gu, ""),
  );
}

function strongest(marks: string): string {
  return ["?", "!", ".", ","].find((mark) => marks.includes(mark)) ?? "";
}
