/** A number in a text: 1.234,5. No sign. */
export const number = String.raw`\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:,\d+)?`;

const ones = [
  "null",
  "eins",
  "zwei",
  "drei",
  "vier",
  "fünf",
  "sechs",
  "sieben",
  "acht",
  "neun",
  "zehn",
  "elf",
  "zwölf",
  "dreizehn",
  "vierzehn",
  "fünfzehn",
  "sechzehn",
  "siebzehn",
  "achtzehn",
  "neunzehn",
];
const tens = [
  "",
  "",
  "zwanzig",
  "dreißig",
  "vierzig",
  "fünfzig",
  "sechzig",
  "siebzig",
  "achtzig",
  "neunzig",
];

/** Longer numbers are read digit by digit. */
const MOST_DIGITS = 12;

/** "21" is "einundzwanzig". Dots between thousands and leading zeros are left out. */
export function cardinal(digits: string): string {
  const plain = digits.replaceAll(".", "");
  if (plain.length > MOST_DIGITS || /^0\d/.test(plain)) return spellDigits(plain);
  return words(Number(plain));
}

/** "555" is "fünf fünf fünf". */
export function spellDigits(digits: string): string {
  return Array.from(digits.replace(/\D/g, ""), (digit) => ones[Number(digit)]).join(" ");
}

/** "21" is "einundzwanzigste", with the ending that is asked for: "n", "r". */
export function ordinal(digits: string, ending = ""): string {
  const value = Number(digits);
  const special: Readonly<Record<number, string>> = {
    1: "erste",
    3: "dritte",
    7: "siebte",
    8: "achte",
  };
  const rest = value % 100;
  const head = value - rest;
  const prefix = head > 0 ? words(head) : "";
  if (special[rest]) return prefix + special[rest] + ending;
  return `${words(value)}${rest > 0 && rest < 20 ? "te" : "ste"}${ending}`;
}

/** Four digits as a year: "1999" is "neunzehnhundertneunundneunzig", "2026" "zweitausendsechsundzwanzig". */
export function year(digits: string): string {
  const value = Number(digits);
  if (value < 1100 || value > 1999) return cardinal(digits);
  const rest = value % 100;
  return `${words(Math.floor(value / 100))}hundert${rest > 0 ? words(rest) : ""}`;
}

/** "3,14" is "drei komma eins vier". */
export function quantity(number: string): string {
  const [whole = "", fraction] = number.split(",");
  return fraction === undefined
    ? cardinal(whole)
    : `${cardinal(whole)} komma ${spellDigits(fraction)}`;
}

/** A number before a word: "1" is "ein". */
export function counted(number: string): string {
  return number === "1" ? "ein" : quantity(number);
}

function words(value: number): string {
  if (value < 20) return ones[value] ?? "";
  if (value < 100) return belowHundred(value);
  if (value < 1_000) return grouped(value, 100, "hundert");
  if (value < 1_000_000) return grouped(value, 1_000, "tausend");
  const isBillion = value >= 1_000_000_000;
  const size = isBillion ? 1_000_000_000 : 1_000_000;
  const [one, many] = isBillion ? ["milliarde", "milliarden"] : ["million", "millionen"];
  const count = Math.floor(value / size);
  const head = count === 1 ? `eine ${one}` : `${words(count)} ${many}`;
  return value % size === 0 ? head : `${head} ${words(value % size)}`;
}

function belowHundred(value: number): string {
  const one = value % 10;
  if (one === 0) return tens[value / 10] ?? "";
  return `${one === 1 ? "ein" : ones[one]}und${tens[Math.floor(value / 10)]}`;
}

function grouped(value: number, size: number, name: string): string {
  const count = Math.floor(value / size);
  const rest = value % size;
  // "einhundert", but "einundzwanzigtausend" and "einhunderteins".
  const head = words(count).replace(/eins$/, "ein");
  return `${head}${name}${rest > 0 ? words(rest) : ""}`;
}
