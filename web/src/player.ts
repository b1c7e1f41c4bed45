import { t } from "./messages.ts";
import type { Recording } from "./recording.ts";
import { type FromRing, ringName, sampleRateHz } from "./ring-messages.ts";
import ringUrl from "./ring-worklet.ts?worker&url";
import { type Playing, type Ring, Voice } from "./voice.ts";

/** Why there is no sound: in words for a person. */
export class SoundUnavailable extends Error {
  override readonly name = "SoundUnavailable";
}

/** Plays voices, one at a time, through an audio worklet at 48 kHz. */
export class Player {
  readonly #context: AudioContext;
  readonly #worklet: AudioWorkletNode;
  readonly #gain: GainNode;
  readonly #ring: Ring;
  #voice: Voice | undefined;
  #silent: PromiseWithResolvers<void> | undefined;
  #failed = false;

  private constructor(context: AudioContext) {
    this.#context = context;
    this.#gain = new GainNode(context);
    this.#worklet = new AudioWorkletNode(context, ringName, {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.#worklet.port.onmessage = ({ data }: MessageEvent<FromRing>) => this.#hear(data);
    this.#worklet.addEventListener("processorerror", () => this.#fail());
    context.addEventListener("statechange", () => {
      if (context.state === "closed") this.#fail();
    });
    this.#worklet.connect(this.#gain).connect(context.destination);
    let runs = 0;
    this.#ring = {
      post: (message) => this.#worklet.port.postMessage(message),
      nextRun: () => ++runs,
      wake: () => this.wake(),
      latencyMs: () => (context.outputLatency || 0) * 1000,
      heardAtMs: (contextSeconds, openedAtMs) => heardAtMs(context, contextSeconds, openedAtMs),
    };
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

  /** True while a voice has the loudspeaker. */
  get busy(): boolean {
    return this.#voice?.active === true;
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
    this.#voice?.finish();
    this.#voice = new Voice(recording, this.#ring, whole);
    this.wake();
    return this.#voice;
  }

  /** Cuts the voice off. Settles when the audio thread reports that it puts out silence. */
  stop(): Promise<void> {
    this.#release();
    this.#silent ??= Promise.withResolvers();
    if (!this.audible) this.#fellSilent();
    this.#ring.post({ type: "stop" });
    return this.#silent?.promise ?? Promise.resolve();
  }

  #hear(message: FromRing): void {
    if (message.type === "silent") this.#fellSilent();
    else this.#voice?.follow(message);
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
    this.#voice?.finish();
    this.#voice = undefined;
  }
}

// Not by getOutputTimestamp: right after a start Chromium's is off by 40 ms.
function heardAtMs(context: AudioContext, contextSeconds: number, openedAtMs: number): number {
  const { baseLatency = 0, outputLatency = 0, currentTime } = context;
  const sinceMs = (currentTime - contextSeconds) * 1000;
  // A context that has just started runs ahead of the page's clock until the device's buffer is full.
  const putOutAtMs = Math.max(openedAtMs, performance.now() - sinceMs);
  return putOutAtMs + (baseLatency + outputLatency) * 1000;
}
