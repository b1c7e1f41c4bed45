import { type Rule, stopAtEnd } from "../normalize/rule.ts";
import { cardinal, counted, ordinal, year } from "./numbers.ts";

const months = [
  "januar",
  "februar",
  "märz",
  "april",
  "mai",
  "juni",
  "juli",
  "august",
  "september",
  "oktober",
  "november",
  "dezember",
];
const monthNames = months.join("|");
/** Dates, ranges of years and hours, and times of day. */
export const dates: readonly Rule[] = [
  // 3.10.2026, 3.10., am 3. Oktober
  [
    /(?<!\d)(am |dem |den |vom |zum |bis |seit |der )?([0-3]?\d)\.\s?([01]?\d)\.\s?(\d{4}|\d{2}(?!\d))?(?![\d,])/giu,
    ([all, before, day, month, years], rest) => {
      const name = months[Number(month) - 1];
      if (!name || Number(day) < 1 || Number(day) > 31) return all;
      const spoken = years.length === 4 ? ` ${year(years)}` : years && ` ${cardinal(years)}`;
      return `${before}${ordinal(day, endingAfter(before))} ${name}${spoken}${years ? "" : stopAtEnd(rest)}`;
    },
  ],
  [
    new RegExp(
      String.raw`(?<!\d)(am |dem |den |vom |zum |bis |seit |der )?([0-3]?\d)\.\s?(?=(?:${monthNames})\b)`,
      "giu",
    ),
    ([, before, day]) => `${before}${ordinal(day, endingAfter(before))} `,
  ],
  // 2026-10-03
  [
    /(?<!\d)(\d{4})-([01]\d)-([0-3]\d)(?!\d)/gu,
    ([all, years, month, day]) => {
      const name = months[Number(month) - 1];
      return name ? `${ordinal(String(Number(day)), "r")} ${name} ${year(years)}` : all;
    },
  ],
  // 1999-2003, 10-12 Uhr
  [
    /(?<![\d-])(1[1-9]\d\d|20\d\d)\s?[-–]\s?(1[1-9]\d\d|20\d\d)(?![\d-])/gu,
    ([, from, to]) => `${year(from)} bis ${year(to)}`,
  ],
  [/(?<=\d)\s?[-–]\s?(?=\d)/gu, () => " bis "],
  // 15:30 Uhr
  [
    /(?<!\d)([01]?\d|2[0-4])[:.]([0-5]\d)(?::[0-5]\d)?(?= ?Uhr)(?: ?Uhr)|(?<!\d)([01]?\d|2[0-4]):([0-5]\d)(?![\d:])/gu,
    ([, hour, minute, bareHour, bareMinute]) => {
      const [hours, minutes] = [hour || bareHour, Number(minute || bareMinute)];
      return ` ${counted(String(Number(hours)))} Uhr${minutes > 0 ? ` ${cardinal(String(minutes))}` : ""} `;
    },
  ],
  [/(?<!\d)([01]?\d|2[0-4]) ?Uhr\b/gu, ([, hour]) => ` ${counted(String(Number(hour)))} Uhr`],
];

/** "der dritte", "am dritten", and alone "dritter". */
function endingAfter(before: string): string {
  if (before === "") return "r";
  return before.trim().toLowerCase() === "der" ? "" : "n";
}
