/** Leaves out of a text what nobody says aloud. */
export type SpeakableText = {
  /**
   * The next piece of the text, with white space in place of what is not spoken: every word stands where
   * it stood. Pieces are those of a sentence cutter, in order.
   */
  next(piece: string): string;
};

/** A line that opens or closes a block of code. */
const fence = /^[ \t]{0,3}(```+|~~~+)/u;
/** A line of a table: cells between bars. */
const tableLine = /^[ \t]*\|.*\|[ \t]*$/u;

/** What is not spoken, wherever it stands. Each pattern looks at a bounded stretch. */
const stretches: readonly RegExp[] = [
  // Addresses; a mark behind one ends the sentence.
  /(?:https?:\/\/|www\.)[^\s<>"'`|\\^{}()[\]]{1,2000}?(?=[.,;:!?…]*(?:[\s<>"'`|\\^{}()[\]]|$))/giu,
  // Tags and comments.
  /<\/?[A-Za-z][A-Za-z0-9:-]{0,40}(?:\s[^<>]{0,500})?\/?>/gu,
  /<!--[^<>]{0,500}-->/gu,
  // Rules.
  /[-=_*~#+]{3,}/gu,
];

/**
 * Makes it for one text. Left out are blocks of code, bare addresses, tables, tags, and rules of dashes:
 * they are shown, and neither read out nor hummed.
 */
export function createSpeakableText(): SpeakableText {
  let openFence: string | undefined;
  let isLineStart = true;
  /** Whether the line, which began in an earlier piece, is left out. */
  let isLeftOut = false;
  const nextLine = (line: string): string => {
    if (line === "") return "";
    const begins = isLineStart;
    isLineStart = /[\n\r]$/u.test(line);
    const mark = begins ? fence.exec(line)?.[1] : undefined;
    if (openFence !== undefined) {
      if (mark?.startsWith(openFence)) openFence = undefined;
      isLeftOut = true;
    } else if (mark !== undefined) {
      openFence = mark;
      isLeftOut = true;
    } else if (begins) {
      isLeftOut = tableLine.test(line.trimEnd());
    }
    return isLeftOut ? blank(line) : stretches.reduce(withoutStretch, line);
  };
  return {
    next: (piece) =>
      piece
        .split(/(?<=[\n\r])(?!\n)/u)
        .map(nextLine)
        .join(""),
  };
}

function withoutStretch(text: string, stretch: RegExp): string {
  return text.replace(stretch, blank);
}

function blank(text: string): string {
  return text.replace(/[^\n\r]/gu, (character) => " ".repeat(character.length));
}
