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

/** Cuts text that arrives in deltas into sentences. */
export type SentenceCutter = {
  /**
   * The sentences that are known to have ended now that the delta is there. Lets the event loop turn
   * while it works on a long delta.
   */
  push(delta: string): AsyncGenerator<string>;
  /** The rest, at the end of the text. */
  flush(): readonly string[];
};

/**
 * Makes a cutter of text into sentences for speech.
 *
 * The sentences joined are exactly the deltas joined, none is empty, and they are the same wherever the
 * deltas are cut. White space belongs to the sentence before it. A sentence leaves when the first
 * character of the next one is there, or at the end; a run of 600 UTF-16 units without an end is cut
 * behind a clause, a word or a grapheme. A sentence need not be speakable ("***"): ask `isSpeakable`.
 */
export function createSentenceCutter(options: SentenceOptions = {}): SentenceCutter {
  const scanner = new SentenceScanner(options.firstClauseAfter ?? Number.POSITIVE_INFINITY);
  const pace = createPace();
  return {
    async *push(delta) {
      for (let at = 0; at < delta.length; at += portion) {
        if (pace.isOver()) await pace.rest();
        yield* scanner.push(delta.slice(at, at + portion));
      }
    },
    flush: () => scanner.end(),
  };
}

/**
 * The sentences of a whole stream of deltas, cut as a cutter does. Pulls no delta while it has a
 * sentence. If `deltas` throws, the text so far comes before the error.
 */
export async function* sentences(
  deltas: AsyncIterable<string>,
  options: SentenceOptions = {},
): AsyncGenerator<string> {
  const cutter = createSentenceCutter(options);
  try {
    for await (const delta of deltas) yield* cutter.push(delta);
  } catch (error) {
    yield* cutter.flush();
    throw error;
  }
  yield* cutter.flush();
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

/** A place where the sentence may have ended: what comes next tells. */
type Stop = {
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
function openStop(sentence: string, before: string, character: string): Stop | undefined {
  const at = sentence.length;
  const kind = terminatorOf(character);
  if (kind) return { at, before, kind, closed: false, spaced: false };
  // Lines that are blank before the first word belong to the sentence that follows.
  if (!isNewline(character) || sentence.trim() === "") return undefined;
  return { at, before, kind: "newline", closed: false, spaced: true };
}

/** Takes the character into the stop if it belongs there: more terminators, closers, white space. */
function extendStop(stop: Stop, sentence: string, character: string): boolean {
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
function closes(character: string, sentence: string): boolean {
  const opener = openerOf(character);
  return opener === undefined ? isCloser(character) : sentence.includes(opener);
}

/** Tells if the sentence, which goes up to `next`, has ended with the stop. */
function stopEnds(stop: Stop, sentence: string, next: string): boolean {
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

// What a character, or the word before a dot, means. A character is one code point, or a lone
// surrogate.

/** White space of any kind, line ends among it. */
function isSpace(character: string): boolean {
  return character === " " || /[\s\u0085]/u.test(character);
}

/** A character that ends a line. */
function isNewline(character: string): boolean {
  return /[\n\r\v\f\u0085\u2028\u2029]/u.test(character);
}

/**
 * How a character can end a sentence, from the least certain to the most.
 * - `dot`: a full stop, which also abbreviates and stands inside numbers and addresses.
 * - `dots`: an ellipsis, which also trails off in the middle.
 * - `mark`: `!` and `?`, which also stand inside addresses and names.
 * - `full`: the marks of other scripts, which do nothing else.
 */
type Terminator = "dot" | "dots" | "mark" | "full";

/** The kind of terminator that the character is, if it is one. */
function terminatorOf(character: string): Terminator | undefined {
  if (character === ".") return "dot";
  if (character === "!" || character === "?") return "mark";
  if (character === "…") return "dots";
  if (isAscii(character)) return undefined;
  // U+037E is the Greek question mark.
  return /[\p{Sentence_Terminal}\u037e]/u.test(character) ? "full" : undefined;
}

/**
 * A character that belongs to the sentence when it follows the terminator at once: closing quotes
 * and brackets, the marks that Markdown puts around words, and emoji.
 */
function isCloser(character: string): boolean {
  if (isAscii(character)) return "\"')]}*_`".includes(character);
  // The last two join and colour emoji.
  return /[\p{Pe}\p{Pf}\p{Extended_Pictographic}\p{EMod}\p{RI}]|\u200d|\ufe0f/u.test(character);
}

const openedBy: Record<string, string> = { "“": "„", "‘": "‚", "«": "»" };

/** For a quote that closes in some languages and opens in others: the one that it would close. */
function openerOf(character: string): string | undefined {
  return openedBy[character];
}

/** A mark between clauses: comma, semicolon, colon, dash, in any script. */
function isClauseMark(character: string): boolean {
  return ",;:—–、，；：،؛﹐﹑﹔﹕､".includes(character);
}

/** A letter or mark of Chinese or Japanese, which are written without spaces. */
function isUnspaced(character: string): boolean {
  if (isAscii(character)) return false;
  return /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\u3000-\u303f\uff01-\uffef]/u.test(character);
}

/** A small letter of a script that has capitals. */
function isLowerCase(character: string): boolean {
  return /\p{Ll}/u.test(character);
}

/** A digit of any script. */
function isDigit(character: string): boolean {
  return /\p{Nd}/u.test(character);
}

function isAscii(character: string): boolean {
  return character < "\u0080";
}

/** Abbreviations that something always follows. */
const followed = words(`
  dr mr mrs ms mx prof hon rev gen col lt sgt capt cmdr adm maj gov sen pres messrs mme mlle st mt
  e.g i.e eg ie v vs cf viz approx ca incl excl resp al
  z z.b d.h u.a o.ä m.e i.d.r bzw evtl ggf inkl exkl zzgl vgl bspw sog hr fr
  sr sra srta dra ud uds p.ej p.ex sig dott bijv dhr mevr np tzn tj m.in
  т.е т.к т.н т.о напр г гг ул пл пер просп обл см ср проф акад св вул див
  डॉ
`);

/** Abbreviations that stand before a number: before anything else their dot ends the sentence. */
const numbered = words(`
  no nos nr num p pp vol vols fig figs ch chap sec sect art eq ed
  jan feb mar apr jun jul aug sep sept oct nov dec
  д кв стр рис гл п пп ст núm núms pág págs
`);

/** Those of them that are units, and may well end a sentence, after a number. */
const units = words("г гг см ms hr sec p");

/** A short word before a dot may be an abbreviation that no list knows. */
const longestUnknown = 4;
/** No abbreviation is longer: what is looked at before a dot is bounded. */
const longestWord = 24;

function words(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/u));
}

/**
 * Tells if a dot with white space behind it ends the sentence. `before` is the sentence up to the
 * dot, `next` the first character after the white space. In doubt it does not: two sentences spoken
 * as one sound better than one spoken as two.
 */
function dotEnds(before: string, next: string): boolean {
  const near = before.slice(-longestWord);
  const word = /[\p{L}\p{M}\p{N}.]*$/u.exec(near)?.[0].toLowerCase() ?? "";
  if (isListMarker(before) || isInitial(near)) return false;
  if (units.has(word) && /\p{Nd}\s*$/u.test(near.slice(0, -word.length))) return !isLowerCase(next);
  if (followed.has(word)) return false;
  if (numbered.has(word) && isDigit(next)) return false;
  if (word.length > longestUnknown && !word.includes(".")) return true;
  return !isLowerCase(next);
}

/** "1." where a sentence begins: the number of an item in a list. */
function isListMarker(before: string): boolean {
  return before.length <= longestWord && /^[\s*_#>-]*\p{Nd}{1,3}$/u.test(before);
}

/** "J." or "J.R.R." or "U.S."; in scripts without capitals any single letter. */
function isInitial(near: string): boolean {
  return /(?<![\p{L}\p{M}\p{N}.])((\p{Lu}\p{M}*\.)*\p{Lu}|(?!\p{N})[\p{sc=Arab}\p{sc=Hebr}])\p{M}*$/u.test(
    near,
  );
}
