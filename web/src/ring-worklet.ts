// Runs on the audio thread. Everything that can be tested without one is in playback.ts.
import { Playback } from "./playback.ts";
import { type FromRing, ringName, sampleRateHz, type ToRing } from "./ring-messages.ts";

// The DOM's types leave this scope out.
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
/** The context's clock at the start of this quantum, in seconds. */
declare const currentTime: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

// A line that let the voice run dry gets a longer start.
const preRollsMs = [80, 300, 1000];
const fadeMs = 8;
const samplesPerMs = sampleRateHz / 1000;
const quantaPerReport = 8;

class RingProcessor extends AudioWorkletProcessor {
  readonly #playback = new Playback({
    preRollsSamples: preRollsMs.map((ms) => ms * samplesPerMs),
    fadeSamples: fadeMs * samplesPerMs,
  });
  #run = 0;
  #startedAt: number | undefined;
  #silenceOwed = false;
  #finished = true;
  #quanta = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<ToRing>) => this.#obey(data);
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const channel = outputs[0]?.[0];
    if (!channel) return true;
    this.#playback.render(channel);
    if (this.#playback.playedSamples > 0) this.#startedAt ??= currentTime;
    this.#reportSilence(channel);
    this.#reportPosition();
    return true;
  }

  #obey(message: ToRing): void {
    if (message.type === "open") {
      this.#run = message.run;
      this.#startedAt = undefined;
      this.#finished = false;
      this.#playback.open();
    } else if (message.type === "stop") {
      this.#finished = true;
      this.#silenceOwed = true;
      this.#playback.stop();
    } else if (message.run === this.#run && !this.#finished) {
      if (message.type === "audio") this.#playback.write(message.pcm);
      else this.#playback.end();
    }
  }

  // What is put out is the proof, unless it is the next turn's already.
  #reportSilence(channel: Float32Array): void {
    if (!this.#silenceOwed || this.#playback.fading) return;
    if (this.#finished && channel.some((sample) => sample !== 0)) return;
    this.#silenceOwed = false;
    this.#post({ type: "silent" });
  }

  #reportPosition(): void {
    if (this.#finished) return;
    const { playedSamples, underruns, drained, buffering } = this.#playback;
    this.#quanta = (this.#quanta + 1) % quantaPerReport;
    if (this.#quanta !== 0 && !drained) return;
    this.#finished = drained;
    const run = this.#run;
    const startedAt = this.#startedAt;
    this.#post({
      type: "position",
      run,
      playedSamples,
      underruns,
      drained,
      buffering,
      startedAt,
    });
  }

  #post(message: FromRing): void {
    this.port.postMessage(message);
  }
}

registerProcessor(ringName, RingProcessor);
