import { type FromRing, ringName, sampleRateHz, type ToRing } from "./ring-messages.ts";
import ringUrl from "./ring-worklet.ts?worker&url";

/** One turn's voice, from its first sample to its last. */
export type Playing = {
  /** Adds samples. The array is handed over and empty afterwards. */
  write(pcm: Int16Array<ArrayBuffer>): void;
  /** Says that no more samples come. */
  end(): void;
  /** Settles once all of it was heard, or another turn or a stop took its place. */
  readonly over: Promise<void>;
  /** The sample that is heard now: a fair guess between the audio thread's reports. */
  heardSamples(): number;
  /** Samples written, samples played and how often it ran dry, by the last report. */
  readonly receivedSamples: number;
  readonly playedSamples: number;
  readonly underruns: number;
};

/** Why there is no sound: in words for a person. */
export class SoundUnavailable extends Error {
  override readonly name = "SoundUnavailable";
}

type Turn = {
  readonly number: number;
  readonly over: PromiseWithResolvers<void>;
  receivedSamples: number;
  playedSamples: number;
  underruns: number;
  reportedAtMs: number;
  drained: boolean;
};

const reportGapMs = 60;

/** Plays turns, one at a time, through an audio worklet at 48 kHz. */
export class Player {
  readonly #context: AudioContext;
  readonly #ring: AudioWorkletNode;
  readonly #gain: GainNode;
  #turn: Turn | undefined;
  #turns = 0;
  #silent: PromiseWithResolvers<void> | undefined;

  private constructor(context: AudioContext) {
    this.#context = context;
    this.#gain = new GainNode(context);
    this.#ring = new AudioWorkletNode(context, ringName, {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.#ring.port.onmessage = ({ data }: MessageEvent<FromRing>) => this.#hear(data);
    this.#ring.connect(this.#gain).connect(context.destination);
  }

  /** Opens the way to the loudspeaker, or throws `SoundUnavailable`. */
  static async create(): Promise<Player> {
    if (!globalThis.isSecureContext || !("AudioWorklet" in globalThis)) {
      throw new SoundUnavailable(
        "Sound needs a secure page: open this one over https or localhost.",
      );
    }
    try {
      const context = new AudioContext({ sampleRate: sampleRateHz });
      await context.audioWorklet.addModule(ringUrl);
      return new Player(context);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new SoundUnavailable(`This browser could not open its sound: ${why}`);
    }
  }

  /** False while the browser holds sound back until the page is clicked. */
  get audible(): boolean {
    return this.#context.state === "running";
  }

  /** Calls `listener` whenever `audible` may have changed. */
  onAudible(listener: () => void): void {
    this.#context.addEventListener("statechange", listener);
  }

  /** Asks the browser for sound. Works for certain only while a click or key press is handled. */
  wake(): void {
    if (!this.audible) this.#context.resume().catch(() => undefined);
  }

  /** 0 (mute) to 1. Changes glide, so that they do not click. */
  setVolume(volume: number): void {
    this.#gain.gain.setTargetAtTime(volume, this.#context.currentTime, 0.01);
  }

  /** Begins a turn. The one before falls silent. */
  begin(): Playing {
    this.#release();
    const turn: Turn = {
      number: ++this.#turns,
      over: Promise.withResolvers(),
      receivedSamples: 0,
      playedSamples: 0,
      underruns: 0,
      reportedAtMs: 0,
      drained: false,
    };
    this.#turn = turn;
    this.#post({ type: "open", turn: turn.number });
    this.wake();
    return this.#playing(turn);
  }

  /** Cuts the voice off. Settles when the audio thread reports that it puts out silence. */
  stop(): Promise<void> {
    this.#release();
    this.#silent ??= Promise.withResolvers();
    if (!this.audible) this.#fellSilent();
    this.#post({ type: "stop" });
    return this.#silent?.promise ?? Promise.resolve();
  }

  #playing(turn: Turn): Playing {
    return {
      write: (pcm) => {
        turn.receivedSamples += pcm.length;
        this.#post({ type: "audio", turn: turn.number, pcm }, [pcm.buffer]);
      },
      end: () => this.#post({ type: "end", turn: turn.number }),
      over: turn.over.promise,
      heardSamples: () => this.#heardSamples(turn),
      get receivedSamples() {
        return turn.receivedSamples;
      },
      get playedSamples() {
        return turn.playedSamples;
      },
      get underruns() {
        return turn.underruns;
      },
    };
  }

  #heardSamples(turn: Turn): number {
    if (turn.drained || turn.playedSamples === 0) return turn.playedSamples;
    const sinceMs = Math.min(performance.now() - turn.reportedAtMs, reportGapMs);
    const latencyMs = (this.#context.outputLatency || 0) * 1000;
    const guess = turn.playedSamples + ((sinceMs - latencyMs) * sampleRateHz) / 1000;
    return Math.max(0, Math.min(guess, turn.receivedSamples));
  }

  #hear(message: FromRing): void {
    if (message.type === "silent") this.#fellSilent();
    else if (message.turn === this.#turn?.number) this.#follow(this.#turn, message);
  }

  #follow(turn: Turn, message: FromRing & { type: "position" }): void {
    turn.playedSamples = message.playedSamples;
    turn.underruns = message.underruns;
    turn.drained = message.drained;
    turn.reportedAtMs = performance.now();
    if (message.drained) turn.over.resolve();
  }

  #fellSilent(): void {
    this.#silent?.resolve();
    this.#silent = undefined;
  }

  #release(): void {
    this.#turn?.over.resolve();
    this.#turn = undefined;
  }

  #post(message: ToRing, transfer: Transferable[] = []): void {
    this.#ring.port.postMessage(message, transfer);
  }
}
