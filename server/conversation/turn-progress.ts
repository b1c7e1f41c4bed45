import { outputRateHz } from "../core/audio/pcm.ts";
import { isSpeakable } from "../core/text/sentences.ts";
import { saidUnits, spreadWords } from "../failover/words.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import type { Continuation } from "./continuation.ts";
import type { TurnChunk } from "./reply.ts";

type AudioChunk = Extract<TurnChunk, { type: "audio" }>;

/** How far a turn was made, so that another instance can continue it. Plain data. */
export type Progress = {
  readonly sessionId: string;
  /** The reply's text that was sent. */
  readonly said: string;
  /** Samples of the turn so far. */
  readonly samples: number;
  /** The sentence that is being spoken: where it begins in `said`, and in the sound. */
  readonly sentence: { readonly textStart: number; readonly startSample: number };
  /** Its words whose timing is known. Texts count from `textStart`, samples from the turn's start. */
  readonly words: readonly WordTiming[];
  /** The tiers that made it last. */
  readonly tiers: Continuation["tiers"];
  /** True if the language model spoke last, and not a voice. */
  readonly isSpoken: boolean;
  /** The reply broke off. */
  readonly isPartial: boolean;
  /** The reply was the prompt's own text: a greeting. */
  readonly isVerbatim: boolean;
  /** All of the reply was made. */
  readonly isWhole: boolean;
};

/**
 * Follows the chunks of a turn, and says which of them may be sent: sound up to the end of a word. So if
 * this process dies, whoever continues finds each word whole, or not sent at all. Each word is told by the
 * chunk in which it ends, for the same reason.
 */
export class TurnProgress {
  readonly #isVoice: (tier: string) => boolean;
  #progress: Progress;
  #untold: readonly WordTiming[];
  /** Chunks that were not sent, and where each ends. */
  readonly #held: { chunk: TurnChunk; readonly endSample: number }[] = [];

  /**
   * `isVoice` tells a voice from a language model that speaks by itself. `untold` are words whose sound was
   * before `start`.
   */
  constructor(
    isVoice: (tier: string) => boolean,
    start: Progress = NOTHING,
    untold: readonly WordTiming[] = [],
  ) {
    this.#isVoice = isVoice;
    this.#progress = start;
    this.#untold = untold;
  }

  read(): Progress {
    return this.#progress;
  }

  note(more: Partial<Progress>): void {
    this.#progress = { ...this.#progress, ...more };
  }

  /**
   * Takes chunks as the turn made them, and answers those that are to be written: they stand last among
   * those that were not sent, and replace what was written there.
   */
  take(chunks: readonly TurnChunk[]): readonly TurnChunk[] {
    const before = this.#held.length;
    let isAll = false;
    for (const chunk of chunks) {
      if (chunk.source) this.#noteSource(chunk);
      // A word may be said to end behind the last sound of its sentence.
      if (chunk.type === "text") isAll = this.#tellRest() || isAll;
      this.#held.push(chunk.type === "text" ? this.#write(chunk) : this.#speak(chunk));
    }
    return this.#held.slice(isAll ? 0 : before).map(({ chunk }) => chunk);
  }

  /**
   * No sound comes for now: words of which most was made are told by the last chunk that was not sent.
   * Answers as `take` does.
   */
  pause(): readonly TurnChunk[] {
    const { samples } = this.#progress;
    const isMade = ({ startSample, endSample }: WordTiming) =>
      (startSample + endSample) / 2 <= samples;
    return this.#tellRest(isMade) ? this.#held.map(({ chunk }) => chunk) : [];
  }

  /** All of the reply was made, and its sound. Answers as `take` does. */
  end(): readonly TurnChunk[] {
    const { said, samples } = this.#progress;
    const sentence = { textStart: said.length, startSample: samples };
    this.note({ isWhole: true, sentence, words: [] });
    return this.#tellRest() ? this.#held.map(({ chunk }) => chunk) : [];
  }

  /** How many of the chunks that were taken are not sent yet. */
  get held(): number {
    return this.#held.length;
  }

  /** The chunks that may be sent, which count as sent from now on: all of them with `isLast`. */
  release(isLast: boolean): readonly TurnChunk[] {
    const border = isLast ? Number.POSITIVE_INFINITY : this.#border();
    const end = this.#held.findIndex(({ endSample }) => endSample > border);
    return this.#held.splice(0, end === -1 ? this.#held.length : end).map(({ chunk }) => chunk);
  }

  /** Tells what was not told with the last chunk that was not sent, if that is sound. */
  #tellRest(isTold: (word: WordTiming) => boolean = () => true): boolean {
    const last = this.#held.at(-1);
    const told = this.#untold.filter(isTold);
    this.#untold = this.#untold.filter((word) => !isTold(word));
    if (told.length === 0 || last?.chunk.type !== "audio") return false;
    last.chunk = { ...last.chunk, words: [...(last.chunk.words ?? []), ...told] };
    return true;
  }

  #noteSource({ type, source }: TurnChunk): void {
    const kind = type === "text" ? "text" : "speech";
    this.note({ tiers: { ...this.#progress.tiers, [kind]: source?.tier } });
  }

  #write(chunk: Extract<TurnChunk, { type: "text" }>) {
    const { said, samples } = this.#progress;
    const sentence = { textStart: said.length, startSample: samples };
    this.note({ said: said + chunk.text, sentence, words: [] });
    return { chunk, endSample: samples };
  }

  #speak(chunk: AudioChunk) {
    const { words = [], ...rest } = chunk;
    const endSample = this.#progress.samples + chunk.pcm.length;
    const isSpoken = !this.#isVoice(chunk.synthesizer);
    this.note({ samples: endSample, isSpoken, words: [...this.#progress.words, ...words] });
    const known = [...this.#untold, ...words];
    const told = isSpoken ? known : known.filter((word) => word.endSample <= endSample);
    this.#untold = isSpoken ? [] : known.filter((word) => word.endSample > endSample);
    return { chunk: { ...rest, ...(told.length > 0 && { words: told }) }, endSample };
  }

  /** Where the first word begins that is not whole; the end if all are. */
  #border(): number {
    const { isSpoken, samples } = this.#progress;
    if (isSpoken) return samples;
    const starts = this.#untold.map(({ startSample }) => startSample);
    // A word that lies behind all sound has to travel with some of it.
    return Math.min(samples, ...starts.map((start) => Math.min(start, samples - 1)));
  }
}

const NOTHING: Progress = {
  sessionId: "",
  said: "",
  samples: 0,
  sentence: { textStart: 0, startSample: 0 },
  words: [],
  tiers: {},
  isSpoken: false,
  isPartial: false,
  isVerbatim: false,
  isWhole: false,
};

/** Where a turn is taken up whose owner is gone. */
export type Break = {
  /** Sound of the turn behind this sample is left out. */
  readonly samples: number;
  readonly continuation: Continuation;
  /** Words that were said and not told. */
  readonly untold: readonly WordTiming[];
};

/** Takes a turn up behind its last whole word. Its first `sentSamples` may have been heard. */
export function breakOf(progress: Progress, sentSamples: number): Break {
  const { said, sentence, words, isSpoken, tiers, isWhole } = progress;
  // A word of which most was sent is not said again.
  const isSaid = ({ startSample, endSample }: WordTiming) =>
    endSample <= progress.samples || (startSample + endSample) / 2 <= sentSamples;
  const cut = words.find((word) => !isSaid(word));
  const samples = cut
    ? Math.max(sentSamples, Math.min(cut.startSample, progress.samples))
    : progress.samples;
  const text = said.slice(sentence.textStart);
  // Where nothing is timed, as much was said as fits into the sound.
  const guessed = words.length === 0 ? guess(text, sentence.startSample, samples) : [];
  const ends = [...guessed, ...words.filter(isSaid)].map(
    ({ textStart, word }) => textStart + word.length,
  );
  const place = sentence.textStart + Math.max(0, ...ends);
  const hasRest = !isSpoken && isSpeakable(said.slice(place));
  const textStart = hasRest ? place : said.length;
  return {
    samples,
    continuation: {
      said,
      samples,
      spanStart: { text: textStart, sample: samples },
      rest: said.slice(textStart),
      tiers,
      isWhole,
    },
    untold: isSpoken ? [] : guessed,
  };
}

function guess(text: string, startSample: number, endSample: number): readonly WordTiming[] {
  const units = saidUnits(text, (endSample - startSample) / outputRateHz);
  return spreadWords(units, startSample, endSample);
}

/**
 * The chunks up to so many samples. The one that lies across the place is cut; a packet of Opus stays whole
 * if most of it lies before.
 */
export function cutChunks(
  chunks: readonly TurnChunk[],
  fromSample: number,
  toSample: number,
): readonly TurnChunk[] {
  let at = fromSample;
  return chunks.flatMap((chunk): readonly TurnChunk[] => {
    if (chunk.type === "text") return [chunk];
    const left = toSample - at;
    at += chunk.pcm.length;
    if (chunk.packet) return 2 * left >= chunk.pcm.length ? [chunk] : [];
    const pcm = chunk.pcm.subarray(0, Math.max(0, left));
    return pcm.length === 0 ? [] : [{ ...chunk, pcm }];
  });
}
