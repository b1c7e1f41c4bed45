import { cardinal, ordinal, year } from "./numbers.ts";
import { applyRules, type Rule, stopAtEnd } from "./rule.ts";

const months = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
/** Capitalized: "may" and "march" are also words. */
const month =
  "(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)";
const day = String.raw`(\d{1,2})(?:st|nd|rd|th)?`;
const zone = "(?:\\s?(Z)\\b)?";

const weekdays: { readonly [short: string]: string } = {
  mon: "monday",
  tue: "tuesday",
  wed: "wednesday",
  thu: "thursday",
  fri: "friday",
  sat: "saturday",
  sun: "sunday",
};
const weekday = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\\.?";

const rules: readonly Rule[] = [
  // the 1990s, the '90s
  [
    /\b(1\d|20)(\d)0'?s\b/g,
    ([, century, decade]) =>
      ` ${decade === "0" ? `${year(`${century}00`)}s` : `${cardinal(century)} ${decadeName(decade)}`} `,
  ],
  [/(?<![\w.,])'?([2-9])0'?s\b/g, ([, decade]) => ` ${decadeName(decade)} `],
  [
    new RegExp(
      String.raw`(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?${zone})?(?![\w-])`,
      "g",
    ),
    ([all, y, m, d, time, utc]) => {
      const date = normalizeDate(y, m, d);
      if (date === undefined) return all;
      return `${date}${time ? ` at ${time}` : ""}${utc ? " UTC" : ""}`;
    },
  ],
  // 11/21/2026: month first, or day first if that is not possible
  [
    /(?<![\w/.])(\d{1,2})\/(\d{1,2})\/(\d{4}|\d{2})(?![\w/])/g,
    ([all, first, second, y]) =>
      normalizeDate(y, first, second) ?? normalizeDate(y, second, first) ?? all,
  ],
  [
    /(?<![\w/.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\w/]|\.\d)/g,
    ([all, d, m, y]) => normalizeDate(y, m, d) ?? all,
  ],
  [
    new RegExp(String.raw`\b${month}\.?\s+${day}(?:,?\s+(\d{4}))?(?![\d:]|[.,]\d)`, "g"),
    ([, m, d, y]) => normalizeDay(m, d, y),
  ],
  [
    new RegExp(
      String.raw`(?<![\w.,/])(?:the\s+)?${day}\s+(?:of\s+)?${month}\b\.?(?:,?\s+(\d{4})\b)?`,
      "gi",
    ),
    ([all, d, m, y], rest) =>
      /^[a-z]/.test(m)
        ? all
        : `${normalizeDay(m, d, y)}${all.endsWith(".") ? stopAtEnd(rest) : ""}`,
  ],
  [
    new RegExp(String.raw`\b${month}\.?\s+((?:19|20)\d\d)\b`, "g"),
    ([, m, y]) => `${monthName(m)} ${year(y)}`,
  ],

  [
    new RegExp(String.raw`\b${weekday}\s?-\s?${weekday}(?!\w)`, "g"),
    ([, from, to]) => `${dayName(from)} to ${dayName(to)}`,
  ],
  [/\b(Mon|Tues?|Wed|Thu(?:rs)?|Fri)\.(?=[\s,])/g, ([, short]) => dayName(short)],
  [/\b(Tues?|Thu(?:rs)?)\b(?=,|\s+[A-Z\d])/g, ([, short]) => dayName(short)],

  // 9-11:30 a.m.
  [
    /\b(\d{1,2}(?::\d{2})?\s?(?:[ap]\.?m\.?)?)\s?-\s?(?=\d{1,2}(?::\d{2}|\s?[ap]\.?m))/gi,
    ([, from]) => `${from} to `,
  ],
  [
    /(?<![\w:.])(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s?([ap])\.?m\b\.?)?(?![\w:]|\.\d)/gi,
    ([all, h, m, s, half], rest) =>
      isTime(h, m, s) ? `${normalizeTime(h, m, s, half)}${dotted(all, rest)}` : all,
  ],
  [
    /(?<![\w:.,])(\d{1,2})\s?([ap])\.?m\b\.?/gi,
    ([all, h, half], rest) =>
      Number(h) <= 12 ? `${cardinal(h)} ${halfName(half)}${dotted(all, rest)}` : all,
  ],
  [/\b([ap])\.m\./gi, ([all, half], rest) => `${halfName(half)}${dotted(all, rest)}`],
];

function normalizeDate(y = "", m = "", d = ""): string | undefined {
  const name = months[Number(m) - 1];
  if (name === undefined || Number(d) < 1 || Number(d) > 31) return undefined;
  const full = y.length === 2 ? `${Number(y) < 70 ? "20" : "19"}${y}` : y;
  return ` ${name} ${ordinal(String(Number(d)))}, ${year(full)}`;
}

function normalizeDay(m = "", d = "", y = ""): string {
  return ` ${monthName(m)} ${ordinal(String(Number(d)))}${y ? `, ${year(y)}` : ""}`;
}

function monthName(written: string): string {
  return months.find((name) => name.startsWith(written.slice(0, 3).toLowerCase())) ?? written;
}

function dayName(short = ""): string {
  return weekdays[short.slice(0, 3).toLowerCase()] ?? short;
}

function isTime(h = "", m = "", s = ""): boolean {
  return Number(h) < 25 && Number(m) < 60 && Number(s) < 60;
}

function normalizeTime(h = "", m = "", s = "", half = ""): string {
  const hour = cardinal(String(Number(h)));
  const seconds = s ? ` and ${cardinal(String(Number(s)))} seconds` : "";
  return ` ${hour}${normalizeMinutes(Number(h), m, half)}${seconds}${half ? ` ${halfName(half)}` : ""}`;
}

function normalizeMinutes(hour: number, m: string, half: string): string {
  if (m !== "00") return ` ${m.startsWith("0") ? "oh " : ""}${cardinal(String(Number(m)))}`;
  if (half) return "";
  return hour > 12 || hour === 0 ? " hundred" : " o'clock";
}

function halfName(half = ""): string {
  return half.toLowerCase() === "a" ? "A M" : "P M";
}

function dotted(all: string, rest = ""): string {
  return all.endsWith(".") ? stopAtEnd(rest) : "";
}

/** "9" is "nineties". */
function decadeName(decade: string): string {
  return cardinal(`${decade}0`).replace(/y$/, "ies").replace(/ten$/, "tens");
}

/** Normalizes dates and times of day, as in American English. */
export function normalizeDates(text: string): string {
  return applyRules(text, rules);
}
