import { t } from "./messages.ts";
import type { Recording } from "./recording.ts";
import { type FromRing, ringName, sampleRateHz, type ToRing } from "./ring-messages.ts";
import ringUrl from "./ring-worklet.ts?worker&url";

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

/** Why there is no sound: in words for a person. */
export class SoundUnavailable extends Error {
  override readonly name = "SoundUnavailable";
}

/** A voice, and the run of the ring that plays it. A seek starts another run. */
type Voice = {
  readonly recording: Recording;
  readonly over: PromiseWithResolvers<void>;
  run: number;
  /** Where the run begins. */
  from: number;
  ended: boolean;
  active: boolean;
  paused: boolean;
  played: number;
  underruns: number;
  earlierUnderruns: number;
  buffering: boolean;
  /** When it was opened, by the page's clock: nothing of it was heard before. */
  readonly openedAtMs: number;
  startedAtMs: number | undefined;
  reportedAtMs: number;
};

const reportGapMs = 60;
const samplesPerMs = sampleRateHz / 1000;

/** Plays voices, one at a time, through an audio worklet at 48 kHz. */
export class Player {
  readonly #context: AudioContext;
  readonly #ring: AudioWorkletNode;
  readonly #gain: GainNode;
  #voice: Voice | undefined;
  #runs = 0;
  #silent: PromiseWithResolvers<void> | undefined;
  #failed = false;

  private constructor(context: AudioContext) {
    this.#context = context;
    this.#gain = new GainNode(context);
    this.#ring = new AudioWorkletNode(context, ringName, {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.#ring.port.onmessage = ({ data }: MessageEvent<FromRing>) => this.#hear(data);
    this.#ring.addEventListener("processorerror", () => this.#fail());
    context.addEventListener("statechange", () => {
      if (context.state === "closed") this.#fail();
    });
    this.#ring.connect(this.#gain).connect(context.destination);
  }

  /** Opens the way to the loudspeaker, or throws `SoundUnavailable`. */
  static async create(): Promise<Player> {
    if (!globalThis.isSecureContext || !("AudioWorklet" in globalThis)) {
      throw new SoundUnavailable(t.soundInsecure);
    }
    try {
      const context = new AudioContext({ sampleRate: sampleRateHz });
      await context.audioWorklet.addModule(ringUrl);
      return new Player(context);
    } catch (error) {
      throw new SoundUnavailable(
        t.soundUnavailable(error instanceof Error ? error.message : String(error)),
      );
    }
  }

  /** True once the audio thread or the context is lost: another player must be made. */
  get failed(): boolean {
    return this.#failed;
  }

  /** False while the browser holds sound back until the page is clicked. */
  get audible(): boolean {
    return this.#context.state === "running";
  }

  /** Asks the browser for sound. Works for certain only while a click or key press is handled. */
  wake(): void {
    if (!this.audible && !this.#failed) this.#context.resume().catch(() => undefined);
  }

  /** Lets the device rest until `wake`. */
  sleep(): void {
    if (!this.#failed && !this.#voice?.active) this.#context.suspend().catch(() => undefined);
  }

  /** Gives the device back. The player is lost. */
  close(): void {
    this.#fail();
    if (this.#context.state !== "closed") this.#context.close().catch(() => undefined);
  }

  /** 0 (mute) to 1. Changes glide, so that they do not click. */
  setVolume(volume: number): void {
    this.#gain.gain.setTargetAtTime(volume, this.#context.currentTime, 0.01);
  }

  /**
   * Begins to play what is written; a recording that is `whole` waits for a `seek`. The voice before falls
   * silent.
   */
  begin(recording: Recording, whole = false): Playing {
    this.#release();
    const voice: Voice = {
      recording,
      over: Promise.withResolvers(),
      run: 0,
      from: 0,
      ended: whole,
      active: true,
      paused: whole,
      played: 0,
      underruns: 0,
      earlierUnderruns: 0,
      buffering: false,
      openedAtMs: performance.now(),
      startedAtMs: undefined,
      reportedAtMs: 0,
    };
    this.#voice = voice;
    if (whole) this.#post({ type: "stop" });
    else this.#open(voice, 0);
    this.wake();
    return this.#playing(voice);
  }

  /** Cuts the voice off. Settles when the audio thread reports that it puts out silence. */
  stop(): Promise<void> {
    this.#release();
    this.#silent ??= Promise.withResolvers();
    if (!this.audible) this.#fellSilent();
    this.#post({ type: "stop" });
    return this.#silent?.promise ?? Promise.resolve();
  }

  #playing(voice: Voice): Playing {
    return {
      write: (pcm) => {
        if (voice.active && !voice.paused) this.#post({ type: "audio", run: voice.run, pcm });
      },
      end: () => {
        voice.ended = true;
        if (voice.active && !voice.paused) this.#post({ type: "end", run: voice.run });
      },
      over: voice.over.promise,
      seek: (sample) => this.#seek(voice, sample),
      pause: () => this.#pause(voice),
      resume: () => this.#seek(voice, voice.played),
      heardSamples: () => this.#heardSamples(voice),
      get active() {
        return voice.active;
      },
      get paused() {
        return voice.paused;
      },
      get playedSamples() {
        return voice.played;
      },
      get underruns() {
        return voice.earlierUnderruns + voice.underruns;
      },
      get buffering() {
        return voice.buffering && !voice.paused;
      },
      get startedAtMs() {
        return voice.startedAtMs;
      },
    };
  }

  #open(voice: Voice, from: number): void {
    voice.run = ++this.#runs;
    voice.from = from;
    voice.played = from;
    voice.earlierUnderruns += voice.underruns;
    voice.underruns = 0;
    voice.buffering = false;
    voice.paused = false;
    voice.reportedAtMs = 0;
    this.#post({ type: "open", run: voice.run });
  }

  async #seek(voice: Voice, sample: number): Promise<void> {
    if (!voice.active) return;
    const at = Math.max(0, Math.min(Math.round(sample), voice.recording.samples));
    const run = voice.run;
    const chunks = voice.recording.file ? await voice.recording.load(at) : undefined;
    if (!voice.active || voice.run !== run) return;
    this.#open(voice, at);
    for (const pcm of chunks ?? voice.recording.from(at)) {
      this.#post({ type: "audio", run: voice.run, pcm });
    }
    if (voice.ended) this.#post({ type: "end", run: voice.run });
    this.wake();
  }

  #pause(voice: Voice): void {
    if (!voice.active || voice.paused) return;
    voice.played = Math.round(this.#heardSamples(voice));
    voice.paused = true;
    voice.run = ++this.#runs;
    this.#post({ type: "stop" });
  }

  #heardSamples(voice: Voice): number {
    const { active, paused, played, reportedAtMs, recording } = voice;
    if (!active || paused || voice.buffering || reportedAtMs === 0) return played;
    const sinceMs = Math.min(performance.now() - reportedAtMs, reportGapMs);
    const latencyMs = (this.#context.outputLatency || 0) * 1000;
    const guess = played + (sinceMs - latencyMs) * samplesPerMs;
    return Math.max(voice.from, Math.min(guess, recording.samples));
  }

  #hear(message: FromRing): void {
    if (message.type === "silent") this.#fellSilent();
    else if (message.run === this.#voice?.run) this.#follow(this.#voice, message);
  }

  #follow(voice: Voice, message: FromRing & { type: "position" }): void {
    voice.played = voice.from + message.playedSamples;
    voice.underruns = message.underruns;
    voice.buffering = message.buffering;
    if (message.playedSamples > 0) voice.reportedAtMs = performance.now();
    if (message.startedAt !== undefined) {
      voice.startedAtMs ??= Math.max(voice.openedAtMs, this.#heardAtMs(message.startedAt));
    }
    if (message.drained) this.#finish(voice);
  }

  /** When what was put out at this time of the context is heard, by the page's clock. */
  #heardAtMs(contextSeconds: number): number {
    // Not by getOutputTimestamp: right after a start Chromium's is off by 40 ms.
    const sinceMs = (this.#context.currentTime - contextSeconds) * 1000;
    const { baseLatency = 0, outputLatency = 0 } = this.#context;
    // A context that has just begun catches up: its clock then runs faster than the page's.
    return performance.now() - sinceMs + (baseLatency + outputLatency) * 1000;
  }

  #fellSilent(): void {
    this.#silent?.resolve();
    this.#silent = undefined;
  }

  #fail(): void {
    this.#failed = true;
    this.#release();
    this.#fellSilent();
  }

  #release(): void {
    if (this.#voice) this.#finish(this.#voice);
    this.#voice = undefined;
  }

  #finish(voice: Voice): void {
    voice.active = false;
    voice.buffering = false;
    voice.over.resolve();
  }

  #post(message: ToRing): void {
    this.#ring.port.postMessage(message);
  }
}
