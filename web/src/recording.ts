import { sampleRateHz } from "./ring-messages.ts";

const headerBytes = 44;

/**
 * A turn's voice. While the turn runs its samples are in memory; afterwards they are a WAV file that the
 * browser keeps where it likes, so that a long conversation does not fill the page's memory.
 */
export class Recording {
  #chunks: Int16Array<ArrayBuffer>[] = [];
  #samples = 0;
  #file: Blob | undefined;

  /** How many samples there are. */
  get samples(): number {
    return this.#samples;
  }

  /** Adds samples. They are kept, not copied. */
  push(pcm: Int16Array<ArrayBuffer>): void {
    this.#chunks.push(pcm);
    this.#samples += pcm.length;
  }

  /** Says that no more come: the samples move into a file. */
  end(): void {
    if (this.#file) return;
    const header = wavHeader(this.#samples);
    this.#file = new Blob([header, ...this.#chunks], { type: "audio/wav" });
    this.#chunks = [];
  }

  /** The whole as a WAV file, once it has ended. */
  get file(): Blob | undefined {
    return this.#file;
  }

  /** All samples from this one on, in order, while the turn runs. */
  from(sample: number): readonly Int16Array<ArrayBuffer>[] {
    let at = 0;
    return this.#chunks.flatMap((chunk) => {
      const skipped = Math.max(0, sample - at);
      at += chunk.length;
      if (skipped >= chunk.length) return [];
      // A part is copied: to send a view is to send all that it looks at.
      return [skipped > 0 ? chunk.slice(skipped) : chunk];
    });
  }

  /** All samples from this one on, whether or not it has ended. */
  async load(sample: number): Promise<readonly Int16Array<ArrayBuffer>[]> {
    if (!this.#file) return this.from(sample);
    const bytes = this.#file.slice(headerBytes + Math.round(sample) * 2);
    return [new Int16Array(await bytes.arrayBuffer())];
  }
}

/** The header of a WAV file: mono, 16 bit, at the page's rate. */
function wavHeader(samples: number): ArrayBuffer {
  const dataBytes = samples * 2;
  const header = new DataView(new ArrayBuffer(headerBytes));
  const word = (at: number, text: string) =>
    [...text].forEach((letter, index) => {
      header.setUint8(at + index, letter.charCodeAt(0));
    });
  word(0, "RIFF");
  header.setUint32(4, headerBytes - 8 + dataBytes, true);
  word(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, sampleRateHz, true);
  header.setUint32(28, sampleRateHz * 2, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  word(36, "data");
  header.setUint32(40, dataBytes, true);
  return header.buffer;
}
