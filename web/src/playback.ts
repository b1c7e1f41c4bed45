import { SampleRing } from "./ring.ts";

/** How playing starts and stops, in samples. */
export type PlaybackLimits = {
  /**
   * How much must wait before playing begins, so that a late chunk does not tear a hole. Each time the
   * voice runs dry the next one holds; a turn that did not run dry goes back by one.
   */
  readonly preRollsSamples: readonly number[];
  /** How long the voice takes to die away when it is cut off: at least 1. */
  readonly fadeSamples: number;
};

// 87 s of voice ahead: growing would copy all of it on the audio thread, so few replies should.
const ringSamples = 2 ** 22;

/**
 * Plays one turn at a time from a ring: what the audio thread does, without the audio thread.
 * A voice that is cut off dies away beside whatever comes next, so a new turn need not wait.
 */
export class Playback {
  readonly #limits: PlaybackLimits;
  readonly #ring = new SampleRing(ringSamples);
  #playing = false;
  #ended = true;
  #playedSamples = 0;
  #underruns = 0;
  #preRoll = 0;
  #last = 0;
  #rise = 0;
  #tail = new Float32Array(0);

  constructor(limits: PlaybackLimits) {
    this.#limits = limits;
  }

  /** Samples of the open turn that have been played. */
  get playedSamples(): number {
    return this.#playedSamples;
  }

  /** How often the open turn ran dry after playing began and before its end was flagged. */
  get underruns(): number {
    return this.#underruns;
  }

  /** True once the open turn was flagged as ended and all of it was played. */
  get drained(): boolean {
    return this.#ended && this.#ring.length === 0;
  }

  /** True while the open turn has run dry and waits for enough to go on. */
  get buffering(): boolean {
    return !this.#playing && !this.#ended && this.#playedSamples > 0;
  }

  /** True while a voice that was cut off is still dying away. */
  get fading(): boolean {
    return this.#tail.length > 0;
  }

  /** Begins a turn; the one before is cut off. */
  open(): void {
    this.stop();
    if (this.#underruns === 0) this.#preRoll = Math.max(0, this.#preRoll - 1);
    this.#ended = false;
    this.#playedSamples = 0;
    this.#underruns = 0;
    this.#rise = this.#limits.fadeSamples;
  }

  /** Adds samples to the open turn. */
  write(pcm: Int16Array): void {
    this.#ring.write(pcm);
  }

  /** Flags the open turn's end: what waits is played, however little it is. */
  end(): void {
    this.#ended = true;
  }

  /** Cuts the open turn off: it dies away within the fade, and what waits is thrown away. */
  stop(): void {
    if (this.#playing) this.#die();
    this.#playing = false;
    this.#ended = true;
    this.#ring.clear();
  }

  /** Fills `out` with what is heard next: samples of -1…1, silence where there is nothing. */
  render(out: Float32Array): void {
    out.fill(0);
    const waiting = this.#ring.length;
    const enough = this.#ended ? waiting > 0 : waiting >= this.#preRollSamples();
    this.#playing ||= enough;
    const tailAt = this.#playing ? this.#play(out) : 0;
    this.#mixTail(out.subarray(tailAt));
  }

  // Returns where in `out` the dying voice goes on: at the end of what was there to play.
  #play(out: Float32Array): number {
    const count = this.#ring.read(out);
    this.#playedSamples += count;
    for (let index = 0; index < count && this.#rise < this.#limits.fadeSamples; index++) {
      out[index] = ((out[index] ?? 0) * ++this.#rise) / this.#limits.fadeSamples;
    }
    if (count > 0) this.#last = out[count - 1] ?? 0;
    if (count === out.length) return 0;
    this.#playing = false;
    this.#die();
    if (!this.#ended) this.#runDry();
    // Whatever comes back does so in the middle of a word: it rises instead of clicking.
    this.#rise = 0;
    return count;
  }

  #runDry(): void {
    this.#underruns++;
    this.#preRoll = Math.min(this.#preRoll + 1, this.#limits.preRollsSamples.length - 1);
  }

  #preRollSamples(): number {
    return this.#limits.preRollsSamples[this.#preRoll] ?? 0;
  }

  #die(): void {
    const { fadeSamples } = this.#limits;
    const tail = new Float32Array(fadeSamples).fill(this.#last);
    const count = this.#ring.read(tail);
    if (count > 0) tail.fill(tail[count - 1] ?? 0, count);
    for (let index = 0; index < fadeSamples; index++) {
      const gain = 1 - (index + 1) / fadeSamples;
      tail[index] = (tail[index] ?? 0) * gain + (this.#tail[index] ?? 0);
    }
    this.#tail = tail;
  }

  #mixTail(out: Float32Array): void {
    const count = Math.min(out.length, this.#tail.length);
    for (let index = 0; index < count; index++) {
      out[index] = (out[index] ?? 0) + (this.#tail[index] ?? 0);
    }
    this.#tail = this.#tail.subarray(count);
  }
}
