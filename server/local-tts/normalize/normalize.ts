import { writeAbbreviations } from "./abbreviations.ts";
import { writeCalendar } from "./calendar.ts";
import { writeAddresses, writeCodes } from "./codes.ts";
import { toAscii } from "./latin.ts";
import { plainMarks } from "./marks.ts";
import { writeMoneyAmounts } from "./money.ts";
import { writeNumbers } from "./numbers.ts";
import { writeSymbols } from "./symbols.ts";
import { writeUnits } from "./units.ts";
import { writeWords } from "./words.ts";

/** No word is longer; what is longer is cut, so that a clause stays bounded. */
const mostLetters = 40;

/**
 * Writes a text out as an English voice says it: "Dr. Li paid $3.50 on 11/21/2026." becomes "doctor
 * li paid three dollars and fifty cents on november twenty first, twenty twenty six."
 *
 * The answer holds lower-case letters a to z, apostrophes within words, single spaces and the marks
 * `,.!?` after words; it is empty if there is nothing to say. The order of the steps matters: each
 * leaves words where it found signs, so that the next one does not read them again.
 */
export function normalizeText(text: string): string {
  const steps = [
    plainMarks,
    writeAddresses,
    writeCalendar,
    writeCodes,
    writeAbbreviations,
    writeMoneyAmounts,
    writeUnits,
    splitMixed,
    writeNumbers,
    writeSymbols,
    writeWords,
    tidy,
  ];
  return nameLetter(steps.reduce((written, step) => step(written), text));
}

/** "GPT-4" and "mp3" are a word and a number. */
function splitMixed(text: string): string {
  return text
    .replace(/(?<=[A-Za-z])-(?=\d)|(?<=\d)-(?=[A-Za-z])/g, " ")
    .replace(/(?<=\d)(?=(?!(?:st|nd|rd|th|s|e[+-]?\d+)\b)[A-Za-z])/g, " ")
    .replace(/(?<=[A-Za-z])(?<!\d[eE])(?=\d)/g, " ");
}

function tidy(text: string): string {
  return toAscii(text)
    .toLowerCase()
    .replace(/(?<![a-z])'|'(?![a-z])/g, " ")
    .replace(/[^a-z' ,.!?]/g, " ")
    .replace(new RegExp(`[a-z']{${mostLetters}}(?=[a-z])`, "g"), "$& ")
    .replace(/\s*([,.!?])[\s,.!?]*/g, (marks) => `${strongest(marks)} `)
    .replace(/^[\s,.!?]+/, "")
    .replace(/\s+/g, " ")
    .trim();
}

function strongest(marks: string): string {
  return ["?", "!", ".", ","].find((mark) => marks.includes(mark)) ?? "";
}

/** The text that is only "a" is the letter. */
function nameLetter(text: string): string {
  return text.replace(/^a(?=[.!?]?$)/, "ay");
}
