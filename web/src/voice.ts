import type { Recording } from "./recording.ts";
import { type FromRing, sampleRateHz, type ToRing } from "./ring-messages.ts";

/** One voice, from its first sample to its last. */
export type Playing = {
  /** Adds samples, which are already in the recording. */
  write(pcm: Int16Array<ArrayBuffer>): void;
  /** Says that no more samples come. */
  end(): void;
  /** Settles once all of it was heard, or another voice, a stop or a fault took its place. */
  readonly over: Promise<void>;
  /** True until then. */
  readonly active: boolean;
  /** Plays from this sample on. */
  seek(sample: number): Promise<void>;
  /** Falls silent, and goes on from there. */
  pause(): void;
  resume(): Promise<void>;
  readonly paused: boolean;
  /** The sample that is heard now: a fair guess between the audio thread's reports. */
  heardSamples(): number;
  /** How far it was played, and how often it ran dry, by the last report. */
  readonly playedSamples: number;
  readonly underruns: number;
  /** True while it has run dry and waits for enough to go on. */
  readonly buffering: boolean;
  /** When its first sample was heard, by the page's clock in milliseconds. */
  readonly startedAtMs: number | undefined;
};

/** The way to the audio thread. */
export type Ring = {
  post(message: ToRing): void;
  /** The number of another run. */
  nextRun(): number;
  /** Asks the browser for sound. */
  wake(): void;
  /** From the ring to the ear. */
  latencyMs(): number;
  /**
   * When what was put out at this time of the context is heard, by the page's clock, if it was not put out
   * before `openedAtMs`.
   */
  heardAtMs(contextSeconds: number, openedAtMs: number): number;
};

type Position = FromRing & { type: "position" };

const reportGapMs = 60;
const samplesPerMs = sampleRateHz / 1000;

/** A voice on the ring. Each seek is another run of the ring. */
export class Voice implements Playing {
  readonly #recording: Recording;
  readonly #ring: Ring;
  readonly #over = Promise.withResolvers<void>();
  /** Nothing of it was put out before. */
  readonly #openedAtMs = performance.now();
  #run = 0;
  /** Where the run begins. */
  #from = 0;
  #ended: boolean;
  #active = true;
  #paused: boolean;
  #played = 0;
  #underruns = 0;
  #earlierUnderruns = 0;
  #buffering = false;
  #startedAtMs: number | undefined;
  #reportedAtMs = 0;

  /** Opens it at once; a recording that is `whole` waits for a `seek`. */
  constructor(recording: Recording, ring: Ring, whole: boolean) {
    this.#recording = recording;
    this.#ring = ring;
    this.#ended = whole;
    this.#paused = whole;
    if (whole) ring.post({ type: "stop" });
    else this.#open(0);
  }

  get over(): Promise<void> {
    return this.#over.promise;
  }

  get active(): boolean {
    return this.#active;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get playedSamples(): number {
    return this.#played;
  }

  get underruns(): number {
    return this.#earlierUnderruns + this.#underruns;
  }

  get buffering(): boolean {
    return this.#buffering && !this.#paused;
  }

  get startedAtMs(): number | undefined {
    return this.#startedAtMs;
  }

  write(pcm: Int16Array<ArrayBuffer>): void {
    if (this.#sounds()) this.#ring.post({ type: "audio", run: this.#run, pcm });
  }

  end(): void {
    this.#ended = true;
    if (this.#sounds()) this.#ring.post({ type: "end", run: this.#run });
  }

  async seek(sample: number): Promise<void> {
    if (!this.#active) return;
    const at = Math.max(0, Math.min(Math.round(sample), this.#recording.samples));
    const run = this.#run;
    // While the turn runs nothing may come in between: what is written then belongs to the new run.
    const loaded = this.#recording.file ? await this.#recording.load(at) : undefined;
    if (!this.#active || this.#run !== run) return;
    this.#open(at);
    for (const pcm of loaded ?? this.#recording.from(at)) this.write(pcm);
    if (this.#ended) this.end();
    this.#ring.wake();
  }

  pause(): void {
    if (!this.#sounds()) return;
    this.#played = Math.round(this.heardSamples());
    this.#paused = true;
    this.#run = this.#ring.nextRun();
    this.#ring.post({ type: "stop" });
  }

  resume(): Promise<void> {
    return this.seek(this.#played);
  }

  heardSamples(): number {
    if (!this.#sounds() || this.#buffering || this.#reportedAtMs === 0) return this.#played;
    const sinceMs = Math.min(performance.now() - this.#reportedAtMs, reportGapMs);
    const guess = this.#played + (sinceMs - this.#ring.latencyMs()) * samplesPerMs;
    return Math.max(this.#from, Math.min(guess, this.#recording.samples));
  }

  /** Takes a report of the audio thread. One of another run says nothing of this voice. */
  follow(report: Position): void {
    if (report.run !== this.#run) return;
    this.#played = this.#from + report.playedSamples;
    this.#underruns = report.underruns;
    this.#buffering = report.buffering;
    if (report.playedSamples > 0) this.#reportedAtMs = performance.now();
    if (report.startedAt !== undefined) {
      this.#startedAtMs ??= this.#ring.heardAtMs(report.startedAt, this.#openedAtMs);
    }
    if (report.drained) this.finish();
  }

  /** It is over, or something else has the ring. */
  finish(): void {
    this.#active = false;
    this.#buffering = false;
    this.#over.resolve();
  }

  #sounds(): boolean {
    return this.#active && !this.#paused;
  }

  #open(from: number): void {
    this.#run = this.#ring.nextRun();
    this.#from = from;
    this.#played = from;
    this.#earlierUnderruns += this.#underruns;
    this.#underruns = 0;
    this.#buffering = false;
    this.#paused = false;
    this.#reportedAtMs = 0;
    this.#ring.post({ type: "open", run: this.#run });
  }
}
