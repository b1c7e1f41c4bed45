import { dotEnds } from "./abbreviations.ts";
import {
  isCloser,
  isDigit,
  isLowerCase,
  isNewline,
  isSpace,
  isUnspaced,
  openerOf,
  type Terminator,
  terminatorOf,
} from "./characters.ts";

/** A place where the sentence may have ended: what comes next tells. */
export type Stop = {
  /** Where the terminator begins in the sentence. */
  readonly at: number;
  /** The character before it, or "". */
  readonly before: string;
  kind: Terminator | "newline";
  /** Closers came after it. */
  closed: boolean;
  /** White space came after it. */
  spaced: boolean;
};

const ranks = ["dot", "dots", "mark", "full"] as const;

/** Begins a stop if `character`, which stands at `sentence.length`, can end the sentence. */
export function openStop(sentence: string, before: string, character: string): Stop | undefined {
  const at = sentence.length;
  const kind = terminatorOf(character);
  if (kind) return { at, before, kind, closed: false, spaced: false };
  // Lines that are blank before the first word belong to the sentence that follows.
  if (!isNewline(character) || sentence.trim() === "") return undefined;
  return { at, before, kind: "newline", closed: false, spaced: true };
}

/** Takes the character into the stop if it belongs there: more terminators, closers, white space. */
export function extendStop(stop: Stop, sentence: string, character: string): boolean {
  if (isSpace(character)) {
    stop.spaced = true;
    if (isNewline(character)) stop.kind = "newline";
    return true;
  }
  if (stop.spaced) return false;
  const kind = terminatorOf(character);
  if (kind) stop.kind = stronger(stop.kind, kind);
  else if (closes(character, sentence)) stop.closed = true;
  else return false;
  return true;
}

function stronger(one: Stop["kind"], other: Terminator): Stop["kind"] {
  if (one === "newline") return one;
  if (one === "dot" && other === "dot") return "dots";
  return ranks.indexOf(one) > ranks.indexOf(other) ? one : other;
}

/** Tells if `character` closes what is open: a quote that opens elsewhere needs its partner. */
export function closes(character: string, sentence: string): boolean {
  const opener = openerOf(character);
  return opener === undefined ? isCloser(character) : sentence.includes(opener);
}

/** Tells if the sentence, which goes up to `next`, has ended with the stop. */
export function stopEnds(stop: Stop, sentence: string, next: string): boolean {
  if (stop.kind === "newline") return true;
  return stop.spaced ? endsBeforeSpace(stop, sentence, next) : endsBeforeInk(stop, sentence, next);
}

function endsBeforeSpace(stop: Stop, sentence: string, next: string): boolean {
  if (stop.kind === "full") return true;
  // «Really?» he asked: what was quoted ended, the sentence did not.
  if (stop.closed || stop.kind === "dots") return !isLowerCase(next);
  return stop.kind === "mark" || dotEnds(sentence.slice(0, stop.at), next);
}

/** Without white space only Chinese and Japanese go on after `.`, `!` and `?`. */
function endsBeforeInk(stop: Stop, sentence: string, next: string): boolean {
  if (isDigit(stop.before) && isDigit(next)) return false;
  if (stop.kind === "full") return true;
  if (stop.kind === "dot") return isUnspaced(stop.before) && isUnspaced(next);
  if (stop.kind === "dots") return false;
  return (isUnspaced(stop.before) || isUnspaced(next)) && !/:\/\/\S*$/u.test(sentence);
}
