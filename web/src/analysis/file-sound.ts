/** What the models hear, so the page needs no more; 15 minutes are 58 MB. */
const rateHz = 16_000;

/** Decodes a file to one channel. Undefined where the browser does not know the format. */
export async function decode(file: Blob): Promise<AudioBuffer | undefined> {
  try {
    const context = new OfflineAudioContext(1, 1, rateHz);
    return await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    return undefined;
  }
}

/** The loudest sample of each of `count` equal parts, 0 to 1, over all channels. */
export function peaksOf(buffer: AudioBuffer, count: number): Float32Array {
  const peaks = new Float32Array(count);
  const each = buffer.length / count;
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let at = 0; at < samples.length; at++) {
      const part = Math.min(count - 1, Math.floor(at / each));
      peaks[part] = Math.max(peaks[part] ?? 0, Math.abs(samples[at] ?? 0));
    }
  }
  return peaks;
}

/** Plays a decoded file. Its context lives as long as it plays. */
export class FileSound {
  readonly #buffer: AudioBuffer;
  readonly #onChange: () => void;
  #context: AudioContext | undefined;
  #source: AudioBufferSourceNode | undefined;
  /** Where it stands, or stood when it began to play. */
  #seconds = 0;
  #begunSeconds = 0;

  constructor(buffer: AudioBuffer, onChange: () => void) {
    this.#buffer = buffer;
    this.#onChange = onChange;
  }

  get isPlaying(): boolean {
    return this.#source !== undefined;
  }

  /** Where it is, in seconds. */
  get seconds(): number {
    if (!this.#source || !this.#context) return this.#seconds;
    const played = this.#context.currentTime - this.#begunSeconds;
    return Math.min(this.#buffer.duration, this.#seconds + played);
  }

  /** Plays from here on; from the start if it stood at the end. */
  play(from = this.seconds): void {
    this.#halt();
    this.#seconds = from >= this.#buffer.duration ? 0 : Math.max(0, from);
    this.#context ??= new AudioContext();
    const source = new AudioBufferSourceNode(this.#context, { buffer: this.#buffer });
    source.connect(this.#context.destination);
    source.addEventListener("ended", () => {
      if (this.#source === source) this.pause();
    });
    this.#begunSeconds = this.#context.currentTime;
    source.start(0, this.#seconds);
    this.#source = source;
    this.#onChange();
  }

  /** Goes to another place, and plays on if it played. */
  seek(seconds: number): void {
    if (this.isPlaying) this.play(seconds);
    else this.#seconds = seconds;
    this.#onChange();
  }

  pause(): void {
    this.#seconds = this.seconds;
    this.#halt();
    void this.#context?.close();
    this.#context = undefined;
    this.#onChange();
  }

  #halt(): void {
    const source = this.#source;
    this.#source = undefined;
    source?.stop();
  }
}
