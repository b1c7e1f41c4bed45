import { normalizeAbbreviations } from "./abbreviations.ts";
import { normalizeAddresses, normalizeCodes } from "./codes.ts";
import { normalizeDates } from "./dates.ts";
import { toAscii } from "./latin.ts";
import { normalizeMarks } from "./marks.ts";
import { normalizeMoneyAmounts } from "./money.ts";
import { normalizeNumbers } from "./numbers.ts";
import { normalizeSymbols } from "./symbols.ts";
import { normalizeUnits } from "./units.ts";
import { normalizeWords } from "./words.ts";

/** Longer words are split, to limit the length of a clause. */
const maxLetters = 40;

/**
 * Normalizes a text to its spoken form in English: "Dr. Li paid $3.50 on 11/21/2026." becomes "doctor
 * li paid three dollars and fifty cents on november twenty first, twenty twenty six."
 *
 * The result contains lower-case letters a to z, apostrophes within words, single spaces and the marks
 * `,.!?` after words. It is empty if there is nothing to say. The order of the steps matters: each
 * replaces signs by words, which the next ones leave alone.
 */
export function normalizeText(text: string): string {
  const steps = [
    normalizeMarks,
    normalizeAddresses,
    normalizeDates,
    normalizeCodes,
    normalizeAbbreviations,
    normalizeMoneyAmounts,
    normalizeUnits,
    splitMixed,
    normalizeNumbers,
    normalizeSymbols,
    normalizeWords,
    tidy,
  ];
  return nameLetter(steps.reduce((normalized, step) => step(normalized), text));
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
    .replace(new RegExp(`[a-z']{${maxLetters}}(?=[a-z])`, "g"), "$& ")
    .replace(/\s*([,.!?])[\s,.!?]*/g, (marks) => `${strongest(marks)} `)
    .replace(/^[\s,.!?]+/, "")
    .replace(/\s+/g, " ")
    .trim();
}

function strongest(marks: string): string {
  return ["?", "!", ".", ","].find((mark) => marks.includes(mark)) ?? "";
}

/** A text that is only "a" is the letter. */
function nameLetter(text: string): string {
  return text.replace(/^a(?=[.!?]?$)/, "ay");
}
