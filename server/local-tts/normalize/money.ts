import { numberPattern as number, plural, quantity } from "./numbers.ts";
import { applyRules, type Rule } from "./rule.ts";

type Currency = readonly [one: string, many: string, cent?: string, cents?: string];

const currencies: { readonly [sign: string]: Currency } = {
  $: ["dollar", "dollars", "cent", "cents"],
  "€": ["euro", "euros", "cent", "cents"],
  "£": ["pound", "pounds", "penny", "pence"],
  "¥": ["yen", "yen"],
  "₹": ["rupee", "rupees", "paisa", "paise"],
  "₽": ["ruble", "rubles", "kopeck", "kopecks"],
  "₴": ["hryvnia", "hryvnias"],
  "₩": ["won", "won"],
  "₺": ["lira", "lira"],
  "₪": ["shekel", "shekels"],
  "₿": ["bitcoin", "bitcoins"],
  USD: ["U S dollar", "U S dollars", "cent", "cents"],
  EUR: ["euro", "euros", "cent", "cents"],
  GBP: ["pound", "pounds", "penny", "pence"],
  JPY: ["yen", "yen"],
  CAD: ["Canadian dollar", "Canadian dollars", "cent", "cents"],
  AUD: ["Australian dollar", "Australian dollars", "cent", "cents"],
  CHF: ["Swiss franc", "Swiss francs"],
  CNY: ["yuan", "yuan"],
  INR: ["rupee", "rupees", "paisa", "paise"],
  RUB: ["ruble", "rubles", "kopeck", "kopecks"],
};
const signs = "[$€£¥₹₽₴₩₺₪₿]";
const codes = "USD|EUR|GBP|JPY|CAD|AUD|CHF|CNY|INR|RUB";
const dollarLands: { readonly [prefix: string]: string } = {
  US: "U S ",
  C: "Canadian ",
  CA: "Canadian ",
  A: "Australian ",
  AU: "Australian ",
  HK: "Hong Kong ",
  NZ: "New Zealand ",
};
const magnitudes: { readonly [letter: string]: string } = {
  k: "thousand",
  m: "million",
  mn: "million",
  b: "billion",
  bn: "billion",
  t: "trillion",
  tn: "trillion",
};
const magnitude = "(?:\\s?(thousand|million|billion|trillion)\\b|([kmbt]n?)(?![A-Za-z0-9]))?";

const rules: readonly Rule[] = [
  // $10-20, $1.2 billion, US$5M, $3.50
  [
    new RegExp(String.raw`(${signs})\s?(${number})\s?-\s?${signs}?(${number})${magnitude}`, "gi"),
    ([, sign, from, to, word, letter]) =>
      ` ${quantity(from)} to ${normalizeMoney(sign, to, word || magnitudeOf(letter))} `,
  ],
  [
    new RegExp(
      String.raw`(?<![\w.])(-?)(?:\b(US|CA?|AU?|HK|NZ))?(${signs})\s?(-?)(${number})${magnitude}`,
      "gi",
    ),
    ([, minus, land, sign, minusToo, amount, word, letter]) =>
      ` ${minus || minusToo ? "minus " : ""}${normalizeMoney(sign, amount, word || magnitudeOf(letter), land)} `,
  ],
  // 3,50 €, 20 EUR
  [
    new RegExp(String.raw`(?<![\w.,])(\d+),(\d\d)\s?(${signs}|${codes})(?!\w)`, "g"),
    ([, whole, cents, sign]) => ` ${normalizeMoney(sign, `${whole}.${cents}`)} `,
  ],
  [
    new RegExp(String.raw`(?<![\w.])(${number})${magnitude}\s?(${signs}|(?:${codes})\b)`, "g"),
    ([, amount, word, letter, sign]) =>
      ` ${normalizeMoney(sign, amount, word || magnitudeOf(letter))} `,
  ],
  [
    new RegExp(String.raw`\b(${codes})\s?(${number})${magnitude}`, "g"),
    ([, code, amount, word, letter]) =>
      ` ${normalizeMoney(code, amount, word || magnitudeOf(letter))} `,
  ],
  // 10k users, a 7B model
  [
    new RegExp(String.raw`(?<![\w.])(${number})([kKMBT]n?)(?![A-Za-z0-9])`, "g"),
    ([, amount, letter]) => ` ${quantity(amount)} ${magnitudeOf(letter)} `,
  ],
  // $5/month
  [
    /\/(?=(?:month|year|week|day|hour|minute|second|user|person|seat|night|item|unit|request|token)\b)/g,
    () => " per ",
  ],
  [/\/mo\b/g, () => " per month "],
  [/\/yr\b/g, () => " per year "],
];

function magnitudeOf(letter = ""): string {
  return magnitudes[letter.toLowerCase()] ?? "";
}

function normalizeMoney(sign = "", amount = "", times = "", land = ""): string {
  const [one, many, cent, cents] = currencies[sign] ?? ["", ""];
  const prefix = sign === "$" ? (dollarLands[land.toUpperCase()] ?? "") : "";
  const [whole = "", fraction = ""] = amount.split(".");
  if (times || !cent || !cents || fraction.length !== 2) {
    return `${quantity(amount)} ${times} ${prefix}${times ? many : plural(amount, one, many)}`;
  }
  const small = String(Number(fraction));
  const inCents = `${quantity(small)} ${plural(small, cent, cents)}`;
  if (Number(whole.replaceAll(",", "")) === 0)
    return small === "0" ? `zero ${prefix}${many}` : inCents;
  const inWhole = `${quantity(whole)} ${prefix}${plural(whole, one, many)}`;
  return small === "0" ? inWhole : `${inWhole} and ${inCents}`;
}

/** Normalizes amounts of money, and numbers with a magnitude: "$3.50", "20 EUR", "7B". */
export function normalizeMoneyAmounts(text: string): string {
  return applyRules(text, rules);
}
