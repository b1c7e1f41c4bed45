import { Passage } from "./captions-passage.ts";
import type { WordTiming } from "./words.ts";

/** How far a reply has been heard. */
export type Heard = {
  /** Words that have begun to sound, in the whole reply so far. Never falls without a `rewind`. */
  readonly words: number;
  /** Where the word that sounds now begins and ends in the reply's text, in UTF-16 units. */
  readonly from: number;
  readonly to: number;
};

/**
 * Says which words of a reply have been heard. The gateway sends a passage's text, then its audio,
 * and with that the words' timings. Until a word's timing comes, its beginning is estimated.
 */
export class Captions {
  readonly #passages: Passage[] = [];
  #receivedSamples = 0;
  #ended = false;
  #heard: Heard = { words: 0, from: 0, to: 0 };

  /** How many words there are so far. */
  get words(): number {
    return this.#passages.reduce((sum, passage) => sum + passage.words.length, 0);
  }

  /** Adds text. */
  addText(text: string): void {
    let last = this.#passages.at(-1);
    if (!last || last.voiced) {
      last = new Passage(this.#receivedSamples);
      this.#passages.push(last);
    }
    last.addText(text);
  }

  /** Adds audio, which speaks the text that came last, and the timings that came with it. */
  addAudio(sampleCount: number, told: readonly WordTiming[] = []): void {
    this.#receivedSamples += sampleCount;
    this.#passages.at(-1)?.addAudio(sampleCount, told);
  }

  /** Says that neither text nor audio will come. */
  end(): void {
    this.#ended = true;
  }

  /** Says that the loudspeaker went back: words light up anew from there. */
  rewind(): void {
    this.#heard = { words: 0, from: 0, to: 0 };
  }

  /** Where the word at this place of the text is thought to begin; undefined behind the last one. */
  sampleAt(place: number): number | undefined {
    let to = 0;
    const words = this.#passages.flatMap((passage) => passage.words);
    const index = words.findIndex(({ text }) => {
      to += text.length;
      return place < to;
    });
    return index < 0 ? undefined : this.starts()[index];
  }

  /** Where each word is thought to begin, in samples from the reply's start. Never falls. */
  starts(): readonly number[] {
    const last = this.#passages.length - 1;
    let latest = 0;
    return this.#passages
      .flatMap((passage, index) => passage.starts(this.#ended || index < last))
      .map((start) => {
        latest = Math.max(latest, start);
        return latest;
      });
  }

  /** What has been heard when the loudspeaker is at `sample`. */
  heard(sample: number): Heard {
    const now = this.#ended && sample >= this.#receivedSamples ? Number.POSITIVE_INFINITY : sample;
    const starts = this.starts();
    const began = starts.findIndex((start) => start >= now);
    const words = Math.max(this.#heard.words, began < 0 ? starts.length : began);
    this.#heard = { words, ...this.#place(words) };
    return this.#heard;
  }

  #place(words: number): { from: number; to: number } {
    const texts = this.#passages.flatMap((passage) => passage.words.map((word) => word.text));
    const to = texts.slice(0, words).join("").length;
    return { from: to - (texts[words - 1]?.length ?? 0), to };
  }
}
