import { sampleRateHz } from "./ring-messages.ts";

const fullScale = 32_767;

/** Whether this browser decodes Opus by itself. */
export function canDecodeOpus(): boolean {
  return "AudioDecoder" in globalThis;
}

/** Decodes Opus, one packet after another, by the browser's own decoder. */
export class OpusDecoder {
  readonly #waiting: PromiseWithResolvers<Int16Array<ArrayBuffer>>[] = [];
  readonly #decoder = new AudioDecoder({
    output: (data) => this.#waiting.shift()?.resolve(toPcm(data)),
    error: (error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    },
  });
  #packets = 0;

  constructor() {
    this.#decoder.configure({ codec: "opus", sampleRate: sampleRateHz, numberOfChannels: 1 });
  }

  /**
   * The samples of the next packet. Of those that it has more than `wanted`, the first packet's come before
   * the voice, and the last one's behind it: they are left out. Rejects if it is not Opus.
   */
  async decode(packet: Uint8Array, wanted?: number): Promise<Int16Array<ArrayBuffer>> {
    const isFirst = this.#packets === 0;
    const pcm = await this.#decode(packet);
    if (wanted === undefined || wanted >= pcm.length) return pcm;
    return isFirst ? pcm.slice(pcm.length - wanted) : pcm.slice(0, wanted);
  }

  #decode(packet: Uint8Array): Promise<Int16Array<ArrayBuffer>> {
    const samples = Promise.withResolvers<Int16Array<ArrayBuffer>>();
    this.#waiting.push(samples);
    // The decoder wants times that rise, and uses them for nothing else.
    const timestamp = this.#packets++ * 1000;
    this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data: packet }));
    // Never flushed: that would begin anew, with a click, at each packet. Opus has no packets to hold back.
    return samples.promise;
  }

  /** Frees the decoder. */
  close(): void {
    if (this.#decoder.state !== "closed") this.#decoder.close();
  }
}

function toPcm(data: AudioData): Int16Array<ArrayBuffer> {
  const floats = new Float32Array(data.numberOfFrames);
  data.copyTo(floats, { planeIndex: 0, format: "f32-planar" });
  data.close();
  return Int16Array.from(floats, (value) => Math.max(-1, Math.min(1, value)) * fullScale);
}
