import { findWord, splitWords, type Word, type WordTiming } from "./words.ts";

/** A word of the passage, and when it is heard, in samples from the reply's start, once told. */
type PassageWord = Word & { startSample?: number; endSample?: number };

// About 13 letters a second: how long a passage is thought to be until its audio is all there.
const samplesPerWeight = 3_000;

/** Text, the stretch of audio that speaks it, and what was told of its words. */
export class Passage {
  readonly #words: PassageWord[] = [];
  readonly #firstSample: number;
  #text = "";
  #sampleCount = 0;
  /** Where the word that was told last ends in the text; the next one stands behind it. */
  #toldTo = 0;
  /** The page's word in which that one stands: its index, and where it begins in the text. */
  #toldWord = 0;
  #toldWordAt = 0;
  #lastStart = 0;

  /** A passage without text. `firstSample`: where its audio begins, from the reply's start. */
  constructor(firstSample: number) {
    this.#firstSample = firstSample;
  }

  /** The words so far. */
  get words(): readonly Word[] {
    return this.#words;
  }

  /** True once audio has come: text that comes then belongs to another passage. */
  get voiced(): boolean {
    return this.#sampleCount > 0;
  }

  /** Adds text, before any audio. */
  addText(text: string): void {
    this.#text += text;
    this.#words.push(...splitWords(text));
  }

  /** Adds audio, and what it tells of words, in their order. Those not in the text are passed by. */
  addAudio(sampleCount: number, told: readonly WordTiming[]): void {
    this.#sampleCount += sampleCount;
    for (const timing of told) this.#take(timing);
  }

  /**
   * Where each word begins, in samples from the reply's start; never falls. Told beginnings are kept.
   * Words in between are fitted in by their length; so are those behind, up to the end of the audio:
   * the known one if the passage is `whole`, else one that is guessed.
   */
  starts(whole: boolean): readonly number[] {
    const starts: number[] = [];
    const gap: Word[] = [];
    let from = this.#firstSample;
    for (const word of this.#words) {
      if (word.startSample === undefined) {
        gap.push(word);
        continue;
      }
      starts.push(...spread(gap.splice(0), from, word.startSample), word.startSample);
      from = word.endSample ?? word.startSample;
    }
    const guess = whole ? 0 : from + weightOf(gap) * samplesPerWeight;
    const end = this.#firstSample + this.#sampleCount;
    starts.push(...spread(gap, from, Math.max(end, guess, this.#lastStart)));
    return starts;
  }

  #take({ word, startSample, endSample }: WordTiming): void {
    const at = findWord(this.#text, word, this.#toldTo);
    if (at < 0) return;
    this.#toldTo = at + word.length;
    const place = this.#wordAt(at);
    if (!place) return;
    this.#lastStart = Math.max(this.#lastStart, startSample);
    // Several told words may be one here, as in "well-known": the first begins it, the last ends it.
    place.startSample ??= this.#lastStart;
    place.endSample = Math.max(this.#lastStart, endSample);
  }

  // Goes on from the word that was told last: what is told never goes back.
  #wordAt(at: number): PassageWord | undefined {
    let word = this.#words[this.#toldWord];
    while (word && at >= this.#toldWordAt + word.text.length) {
      this.#toldWordAt += word.text.length;
      word = this.#words[++this.#toldWord];
    }
    return word;
  }
}

/** Beginnings of words without a told one, by their length; none behind `to`. */
function spread(words: readonly Word[], from: number, to: number): readonly number[] {
  const weight = Math.max(weightOf(words), 1);
  const begin = Math.min(from, to);
  let before = 0;
  return words.map((word) => {
    const start = begin + ((to - begin) * before) / weight;
    before += word.weight;
    return start;
  });
}

function weightOf(words: readonly Word[]): number {
  return words.reduce((sum, { weight }) => sum + weight, 0);
}
