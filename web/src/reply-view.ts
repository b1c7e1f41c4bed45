import type { Heard } from "./captions.ts";
import { type Block, type Piece, renderMarkdown } from "./markdown.ts";

// Ranges over the text, not an element a word: nothing in the page changes as words light up, so a
// screen reader reads the reply in one piece.
const registered = "highlights" in CSS;
const heardWords = registered ? register("heard") : undefined;
const soundingWord = registered ? register("sounding") : undefined;

function register(name: string): Highlight {
  const highlight = new Highlight();
  CSS.highlights.set(name, highlight);
  return highlight;
}

/** The text of one reply: Markdown, with lights on what was heard. */
export class ReplyView {
  readonly element: HTMLElement;
  readonly #before = new Range();
  readonly #word = new Range();
  #blocks: readonly Block[] = [];
  #pieces: readonly Piece[] = [];
  #source = "";
  #lit: Heard = { words: 0, from: 0, to: 0 };

  /** Fills the element, which may hold something in front already. */
  constructor(element: HTMLElement) {
    this.element = element;
  }

  /** The text so far. */
  get source(): string {
    return this.#source;
  }

  /** Shows the text so far, which only grows. */
  show(source: string): void {
    if (source === this.#source) return;
    this.#source = source;
    const blocks = renderMarkdown(source, this.#blocks);
    for (const { element } of this.#blocks) {
      if (!blocks.some((block) => block.element === element)) element.remove();
    }
    for (const { element } of blocks) {
      element.dir = "auto";
      if (!element.isConnected) this.element.append(element);
    }
    this.#blocks = blocks;
    this.#pieces = blocks.flatMap(({ pieces }) => pieces);
    this.#place(this.#lit);
  }

  /** Lights all up to the word that sounds now, and that word most of all. True if that changed. */
  light(heard: Heard): boolean {
    heardWords?.add(this.#before);
    soundingWord?.add(this.#word);
    if (heard.words === this.#lit.words && heard.to === this.#lit.to) return false;
    this.#lit = heard;
    this.#place(heard);
    return true;
  }

  /** Puts the lights out; `keep` leaves lit what was heard. */
  close(keep: boolean): void {
    soundingWord?.delete(this.#word);
    if (!keep) heardWords?.delete(this.#before);
  }

  /** Where the word that sounds stands on the screen; undefined before the first. */
  wordBox(): DOMRect | undefined {
    if (this.#lit.words === 0) return undefined;
    return this.#word.getClientRects()[0];
  }

  /** Where the end of the text stands. */
  endBox(): DOMRect {
    return (this.#blocks.at(-1)?.element ?? this.element).getBoundingClientRect();
  }

  /** Which place of the source is shown at this point; undefined where there is none. */
  placeAt(x: number, y: number): number | undefined {
    const caret = caretAt(x, y);
    const piece = this.#pieces.find(({ node }) => node === caret?.node);
    return piece && caret && Math.min(piece.from + caret.offset, piece.to - 1);
  }

  #place({ from, to, words }: Heard): void {
    const end = words > 0 && this.#pointAt(to, true);
    const start = words > 0 && this.#pointAt(from, false);
    const first = this.#pieces[0];
    if (!end || !start || !first) {
      this.#before.setStart(this.element, 0);
      this.#before.collapse(true);
      this.#word.setStart(this.element, 0);
      this.#word.collapse(true);
      return;
    }
    this.#before.setStart(first.node, 0);
    this.#before.setEnd(end.node, end.offset);
    this.#word.setStart(start.node, start.offset);
    this.#word.setEnd(end.node, end.offset);
  }

  /** The point of the page where this place of the source is shown, or the one next to it. */
  #pointAt(place: number, isEnd: boolean): { node: Text; offset: number } | undefined {
    const piece = isEnd
      ? this.#pieces.findLast(({ from }) => from < place)
      : (this.#pieces.find(({ to }) => to > place) ?? this.#pieces.at(-1));
    if (!piece) return undefined;
    const offset = Math.max(0, Math.min(place - piece.from, piece.node.length));
    return { node: piece.node, offset };
  }
}

type Caret = { readonly node: Node; readonly offset: number };

// Safari knew the older name alone until lately.
function caretAt(x: number, y: number): Caret | undefined {
  if ("caretPositionFromPoint" in document) {
    const caret = document.caretPositionFromPoint(x, y);
    return caret ? { node: caret.offsetNode, offset: caret.offset } : undefined;
  }
  const range = (
    document as { caretRangeFromPoint?: (x: number, y: number) => Range | null }
  ).caretRangeFromPoint?.(x, y);
  return range ? { node: range.startContainer, offset: range.startOffset } : undefined;
}
