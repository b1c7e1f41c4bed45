import { isClauseMark, isDigit, isSpace, isUnspaced } from "./characters.ts";
import { closes, extendStop, openStop, type Stop, stopEnds } from "./stop.ts";

/**
 * Tells if there is anything to say: a letter or a digit of any script. Providers answer nothing,
 * or an error, to text without one.
 */
export function isSpeakable(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}

/** How `sentences` cuts. */
export type SentenceOptions = {
  /**
   * Lets speech start before a long first sentence is whole: until something was said, a sentence
   * of at least this many UTF-16 units is also cut behind a clause mark. Never, if absent.
   */
  readonly firstClauseAfter?: number;
};

/**
 * Cuts a stream of text into sentences for speech.
 *
 * Joined as they stand the sentences are exactly the deltas joined, none is empty, and they are the
 * same wherever the deltas are cut. White space belongs to the sentence before it. A sentence
 * leaves when the first character of the next one is there, or at the end of the text; a run of 600
 * UTF-16 units without an end is cut behind a clause, a word or a grapheme. A sentence need not be
 * speakable ("***"): ask `isSpeakable`.
 *
 * It pulls no delta while it has a sentence, and lets the event loop turn while it works on a long
 * text. When `deltas` throws, the text that has arrived leaves
 * first and the error follows, so that what was handed out is exactly what was generated; a reader
 * that was cancelled must look at its signal itself.
 */
export async function* sentences(
  deltas: AsyncIterable<string>,
  options: SentenceOptions = {},
): AsyncGenerator<string> {
  const scanner = new SentenceScanner(options.firstClauseAfter ?? Number.POSITIVE_INFINITY);
  const pace = createPace();
  try {
    for await (const delta of deltas) {
      for (let at = 0; at < delta.length; at += portion) {
        if (pace.isOver()) await pace.rest();
        yield* scanner.push(delta.slice(at, at + portion));
      }
    }
  } catch (error) {
    yield* scanner.end();
    throw error;
  }
  yield* scanner.end();
}

/** So much of a delta is looked at before the time is, in UTF-16 units. */
const portion = 256;
/** So long may the event loop be held, whoever reads the sentences included. */
const longestHoldMs = 5;

/** Tells when the event loop was held for long. A text without letters costs time and no sound. */
function createPace() {
  let restedMs = performance.now();
  return {
    isOver: () => performance.now() - restedMs > longestHoldMs,
    async rest() {
      await new Promise<void>((resolve) => setImmediate(resolve));
      restedMs = performance.now();
    },
  };
}

/** No piece is longer, in UTF-16 units. */
const longestPiece = 600;

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * Cuts text that arrives bit by bit into sentences. It looks at one character after the other and
 * knows nothing of where the bits began, so that the sentences do not depend on that. The work is
 * linear in the text.
 */
class SentenceScanner {
  /** Until something was said, a clause of this many UTF-16 units is handed out as well. */
  #firstClauseAfter: number;
  /** What has not been handed out, and where in it the next character to look at stands. */
  #text = "";
  #at = 0;
  #stop: Stop | undefined;
  #previous = "";
  /** The last clause mark, while only closers and white space have followed it. */
  #mark: { readonly before: string; readonly character: string } | undefined;
  /** Behind the last clause and behind the last word: where a run without end is cut. */
  #clauseEnd = 0;
  #wordEnd = 0;

  /** `firstClauseAfter` as `sentences` has it. */
  constructor(firstClauseAfter: number) {
    this.#firstClauseAfter = Math.max(1, firstClauseAfter);
  }

  /** Takes the next text and returns the sentences that are now known to have ended. */
  push(delta: string): string[] {
    this.#text += delta;
    return this.#scan(false);
  }

  /** Returns what is left, the text being over. */
  end(): string[] {
    const pieces = this.#scan(true);
    return this.#text === "" ? pieces : [...pieces, this.#take(this.#text.length)];
  }

  #scan(over: boolean): string[] {
    const pieces: string[] = [];
    for (let next = this.#next(over); next !== ""; next = this.#next(over)) {
      const end = this.#look(next);
      if (end > 0) pieces.push(this.#take(end));
      else this.#at += next.length;
    }
    return pieces;
  }

  /** The character to look at; "" when it has not arrived, or only its first half. */
  #next(over: boolean): string {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return "";
    const halfArrived = code >= 0xd800 && code <= 0xdbff && this.#at === this.#text.length - 1;
    return halfArrived && !over ? "" : String.fromCodePoint(code);
  }

  /** Returns where the piece ends, now that `next` is known to follow, or 0. */
  #look(next: string): number {
    const sentence = this.#text.slice(0, this.#at);
    this.#noteBreaks(sentence, next);
    if (this.#clauseEnd === this.#at && this.#at >= this.#firstClauseAfter) return this.#at;
    const goesOn = this.#stop !== undefined && extendStop(this.#stop, sentence, next);
    if (this.#stop && !goesOn && stopEnds(this.#stop, sentence, next)) return this.#at;
    if (this.#at + next.length > longestPiece) return this.#forcedEnd(next);
    if (!goesOn) this.#stop = openStop(sentence, this.#previous, next);
    this.#noteMark(sentence, next);
    this.#previous = next;
    return 0;
  }

  #noteBreaks(sentence: string, next: string): void {
    const spaced = isSpace(this.#previous);
    if (isSpace(next) || (!spaced && closes(next, sentence))) return;
    if (spaced) this.#wordEnd = this.#at;
    const mark = this.#mark;
    if (!mark || isClauseMark(next)) return;
    const inNumber = isDigit(mark.before) && isDigit(next);
    const unspaced = isUnspaced(mark.character) || isUnspaced(next);
    if (spaced || (unspaced && !inNumber)) this.#clauseEnd = this.#at;
  }

  #noteMark(sentence: string, next: string): void {
    if (isClauseMark(next)) this.#mark = { before: this.#previous, character: next };
    else if (!isSpace(next) && (isSpace(this.#previous) || !closes(next, sentence))) {
      this.#mark = undefined;
    }
  }

  /** Where a piece that has grown too long is cut: behind a clause, a word or a grapheme. */
  #forcedEnd(next: string): number {
    if (this.#clauseEnd >= longestPiece / 2) return this.#clauseEnd;
    if (this.#wordEnd > 0) return this.#wordEnd;
    const seen = this.#text.slice(0, this.#at + next.length);
    return graphemes.segment(seen).containing(this.#at)?.index || this.#at;
  }

  #take(end: number): string {
    const piece = this.#text.slice(0, end);
    this.#text = this.#text.slice(end);
    this.#at = 0;
    this.#stop = undefined;
    this.#previous = "";
    this.#mark = undefined;
    this.#clauseEnd = 0;
    this.#wordEnd = 0;
    if (isSpeakable(piece)) this.#firstClauseAfter = Number.POSITIVE_INFINITY;
    return piece;
  }
}
