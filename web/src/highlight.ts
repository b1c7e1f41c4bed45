import type { Heard } from "./captions.ts";

/** The lit part of one reply. */
export type Lights = {
  /** Lights all up to the word that sounds now, and that word most of all. */
  show(heard: Heard): void;
  /** Puts the lights out; `keep` leaves lit what was heard. */
  close(keep: boolean): void;
};

// Ranges over one text, not an element a word: nothing in the page changes as words light up, so a
// screen reader reads the reply in one piece.
const registered = "highlights" in CSS;
const heardWords = registered ? register("heard") : undefined;
const soundingWord = registered ? register("sounding") : undefined;

function register(name: string): Highlight {
  const highlight = new Highlight();
  CSS.highlights.set(name, highlight);
  return highlight;
}

/** Makes lights for a text, which may still grow. Browsers without highlights show none. */
export function highlight(text: Text): Lights {
  const before = new Range();
  const word = new Range();
  before.setStart(text, 0);
  heardWords?.add(before);
  soundingWord?.add(word);
  let shown = -1;
  return {
    show({ words, from, to }) {
      if (words === shown || to > text.length) return;
      shown = words;
      before.setEnd(text, to);
      word.setStart(text, from);
      word.setEnd(text, to);
    },
    close(keep) {
      soundingWord?.delete(word);
      if (!keep) heardWords?.delete(before);
    },
  };
}
