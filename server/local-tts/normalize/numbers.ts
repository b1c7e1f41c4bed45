import { toOrdinal, toWords } from "to-words/en-US";
import { applyRules, type Rule } from "./rule.ts";

/** A number in a text: "1,234", "3.14", ".5". No sign. */
export const numberPattern = String.raw`(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)`;

const digitNames = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
/** Longer numbers are read digit by digit. */
const maxDigits = 15;

/** Digits, with or without thousands commas: "1,234" is "one thousand two hundred thirty four". */
export function cardinal(digits: string): string {
  const plain = digits.replaceAll(",", "");
  if (plain.length > maxDigits || /^0\d/.test(plain)) return spellDigits(plain);
  return toWords(BigInt(plain)).toLowerCase();
}

/** "21" is "twenty first". */
export function ordinal(digits: string): string {
  const plain = digits.replaceAll(",", "");
  if (plain.length > maxDigits) return `${spellDigits(plain)} th`;
  return toOrdinal(Number(plain)).toLowerCase();
}

/** "555" is "five five five". Anything else is left out. */
export function spellDigits(digits: string): string {
  return Array.from(digits, (digit) => digitNames[Number(digit)] ?? "").join(" ");
}

/** A match of `numberPattern`: "3.14" is "three point one four". */
export function quantity(number: string): string {
  const [whole = "", fraction] = number.split(".");
  const words = whole === "" ? "" : cardinal(whole);
  return fraction === undefined ? words : `${words} point ${spellDigits(fraction)}`.trim();
}

/** Four digits as a year: "1905" is "nineteen oh five", "2005" "two thousand five". */
export function year(digits: string): string {
  const [century = "", rest = ""] = [digits.slice(0, 2), digits.slice(2)];
  if (digits.length !== 4 || /^(?:.00\d|0)/.test(digits)) return cardinal(digits);
  if (rest === "00") return `${cardinal(century)} hundred`;
  return `${cardinal(century)} ${rest.startsWith("0") ? "oh " : ""}${cardinal(String(Number(rest)))}`;
}

/** "1" and "2" is "one half", "3" and "4" "three quarters". */
function fraction(over: string, under: string): string {
  const one = Number(over) === 1;
  if (under === "2") return one ? "one half" : `${cardinal(over)} halves`;
  if (under === "4") return `${cardinal(over)} ${one ? "quarter" : "quarters"}`;
  if (under === "10" || under === "100") return `${cardinal(over)} out of ${cardinal(under)}`;
  if (Number(under) < 3 || Number(under) > 100) return `${cardinal(over)} over ${cardinal(under)}`;
  return `${cardinal(over)} ${ordinal(under)}${one ? "" : "s"}`;
}

/** Singular for exactly "1", plural for the rest. */
export function plural(number: string, one: string, many: string): string {
  return number === "1" ? one : many;
}

const number = numberPattern;
/** Words that make the four digits after them a year. */
const yearCue =
  "in|since|until|till|by|from|of|before|after|during|around|circa|year|early|late|mid|spring|summer|autumn|fall|winter";

const rules: readonly Rule[] = [
  // 5 + 3, 2 * 3, 8 / 2
  [/(?<=\d)\s*\+\s*(?=\d)/g, () => " plus "],
  [/(?<=\d)\s*[*×]\s*(?=\d)/g, () => " times "],
  [/(?<=\d)(?:\s*÷\s*|\s\/\s)(?=\d)/g, () => " divided by "],
  // 6.02e23, 10^6
  [
    /\b(\d+(?:\.\d+)?)[eE]([+-]?)(\d{1,3})\b/g,
    ([, base, sign, power]) =>
      ` ${quantity(base)} times ten to the power of ${sign === "-" ? "minus " : ""}${cardinal(power)} `,
  ],
  [
    /(?<=\w)\^(-?)(\d+)/g,
    ([, sign, power]) => ` to the power of ${sign ? "minus " : ""}${cardinal(power)} `,
  ],
  // 1st, 2nd
  [/\b(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b/gi, ([, digits]) => ` ${ordinal(digits)} `],
  // 24/7, 2 1/2, 3/4
  [/\b24\/7\b/g, () => " twenty four seven "],
  [/\b9\/11\b/g, () => " nine eleven "],
  [
    /\b(\d+)\s+(\d{1,3})\/(\d{1,3})\b(?!\/)/g,
    ([, whole, over, under]) =>
      ` ${cardinal(whole)} and ${fraction(over, under).replace(/^one (?=half|quarter)/, "a ")} `,
  ],
  [/(?<![\w./])(\d{1,3})\/(\d{1,3})(?![\w/])/g, ([, over, under]) => ` ${fraction(over, under)} `],
  // 3:2
  [/(?<=\d):(?=\d)/g, () => " to "],
  // 1999-2003, 5-10, 10 - 3 = 7
  [
    /(?<![\w.,-])((?:1[1-9]|20)\d\d)\s?-\s?((?:1[1-9]|20)\d\d)(?![\w-])/g,
    ([, from, to]) => ` ${year(from)} to ${year(to)} `,
  ],
  [/(\d)\s-\s(?=\d[\d.,]*\s*=)/g, ([, digit]) => `${digit} minus `],
  [
    new RegExp(String.raw`(?<![\w.,-])(${number})\s?-\s?(?=${number}(?![\w-]))`, "g"),
    ([, from]) => ` ${quantity(from)} to `,
  ],
  // -5, but not the hyphen of a word
  [new RegExp(String.raw`(?<![\w)\].])-(?=${number})`, "g"), () => " minus "],
  [/\b((?:19|20)\d\d)\b(?![.,]\d)/g, ([, digits]) => ` ${year(digits)} `],
  [
    new RegExp(String.raw`\b(${yearCue})\s+(1[0-8]\d\d)\b(?![.,]\d)`, "gi"),
    ([, cue, digits]) => `${cue} ${year(digits)} `,
  ],
  // An id: seven digits or more without commas, and not round.
  [
    /(?<![\d.,])(\d{7,})(?![\d,]|\.\d)/g,
    ([all, digits]) =>
      digits.length > maxDigits || !digits.endsWith("000") ? ` ${spellDigits(digits)} ` : all,
  ],
  [new RegExp(`${number}`, "g"), ([digits]) => ` ${quantity(digits)} `],
];

/** Normalizes all remaining numbers: amounts, years, ordinals, fractions, ranges, ids. */
export function normalizeNumbers(text: string): string {
  return applyRules(text, rules);
}
