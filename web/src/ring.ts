const fullScale = 32768;

/** A queue of 16-bit samples in one block of memory, which doubles whenever it is full. */
export class SampleRing {
  #samples: Int16Array;
  #head = 0;
  #length = 0;

  /** `capacity` is how many samples fit before it grows: at least 1. */
  constructor(capacity: number) {
    this.#samples = new Int16Array(capacity);
  }

  /** How many samples wait to be read. */
  get length(): number {
    return this.#length;
  }

  /** Puts samples at the end. They are copied. */
  write(pcm: Int16Array): void {
    if (this.#length + pcm.length > this.#samples.length) this.#grow(this.#length + pcm.length);
    const tail = (this.#head + this.#length) % this.#samples.length;
    const before = Math.min(pcm.length, this.#samples.length - tail);
    this.#samples.set(pcm.subarray(0, before), tail);
    this.#samples.set(pcm.subarray(before), 0);
    this.#length += pcm.length;
  }

  /** Takes samples from the front into `into`, scaled to -1…1. Returns how many there were. */
  read(into: Float32Array): number {
    const count = Math.min(into.length, this.#length);
    for (let index = 0; index < count; index++) {
      const sample = this.#samples[(this.#head + index) % this.#samples.length] ?? 0;
      into[index] = sample / fullScale;
    }
    this.#head = (this.#head + count) % this.#samples.length;
    this.#length -= count;
    return count;
  }

  /** Throws away what waits. */
  clear(): void {
    this.#head = 0;
    this.#length = 0;
  }

  #grow(needed: number): void {
    let capacity = this.#samples.length;
    while (capacity < needed) capacity *= 2;
    const samples = new Int16Array(capacity);
    const before = Math.min(this.#length, this.#samples.length - this.#head);
    samples.set(this.#samples.subarray(this.#head, this.#head + before));
    samples.set(this.#samples.subarray(0, this.#length - before), before);
    this.#samples = samples;
    this.#head = 0;
  }
}
