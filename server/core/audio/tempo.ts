/** Changes how fast a voice speaks, part by part, and leaves its pitch as it is. */
export type TempoChanger = {
  /** Takes the next samples and returns those that are ready, perhaps none: it looks 40 ms ahead. */
  push(pcm: Int16Array): Int16Array;
  /** Returns the rest, so that `round(samplesIn / speed)` samples came out in all. The last call. */
  flush(): Int16Array;
};

/** A frame's length: several periods of a voice, and shorter than a syllable. */
const FRAME_MS = 30;
/** How far from its place a frame may be taken: a period of the lowest voice. */
const SEARCH_MS = 10;
/** Every fourth sample shows how well two pieces fit, and every fourth place is looked at first. */
const COARSE = 4;

/**
 * Creates a changer for mono PCM of a rate and a speed (0.25 to 4; 1 passes all through). It is WSOLA
 * (Verhelst and Roelands, 1993): the output is put together of overlapping frames, each taken from where
 * the input continues the frame before it best.
 */
export function createTempoChanger(sampleRateHz: number, speed: number): TempoChanger {
  if (speed === 1) return { push: (pcm) => pcm, flush: () => new Int16Array(0) };
  return new WsolaChanger(sampleRateHz, speed);
}

class WsolaChanger implements TempoChanger {
  readonly #speed: number;
  /** Half a frame: each one overlaps the one before it by this. */
  readonly #hop: number;
  readonly #search: number;
  readonly #fadeIn: Float32Array;
  /** Input that is still needed; it begins at sample `#start`. */
  #input = new Float32Array(0);
  #start = 0;
  #samplesIn = 0;
  #samplesOut = 0;
  #frames = 0;
  /** Where the last frame was taken. */
  #last = 0;

  constructor(sampleRateHz: number, speed: number) {
    this.#speed = speed;
    this.#hop = Math.round((sampleRateHz * FRAME_MS) / 2000);
    this.#search = Math.round((sampleRateHz * SEARCH_MS) / 1000);
    this.#fadeIn = Float32Array.from(
      { length: this.#hop },
      (_, at) => 0.5 - 0.5 * Math.cos((Math.PI * (at + 0.5)) / this.#hop),
    );
  }

  push(pcm: Int16Array): Int16Array {
    this.#samplesIn += pcm.length;
    this.#append(pcm);
    const frames: Int16Array[] = [];
    while (this.#place() + this.#search + 2 * this.#hop <= this.#start + this.#input.length) {
      frames.push(this.#nextFrame());
    }
    return this.#join(frames, Number.POSITIVE_INFINITY);
  }

  flush(): Int16Array {
    const total = Math.round(this.#samplesIn / this.#speed);
    const missing = total - this.#samplesOut;
    const frames: Int16Array[] = [];
    while (frames.length * this.#hop < missing) {
      const end = this.#place() + this.#search + 2 * this.#hop;
      this.#append(new Int16Array(Math.max(0, end - this.#start - this.#input.length)));
      frames.push(this.#nextFrame());
    }
    return this.#join(frames, missing);
  }

  /** Where the next frame belongs. */
  #place(): number {
    return Math.round(this.#frames * this.#hop * this.#speed);
  }

  #append(pcm: Int16Array): void {
    // All that a frame may still be taken from, and what the last one continues with.
    const needed = Math.min(this.#last + this.#hop, this.#place() - this.#search);
    const from = Math.max(0, Math.min(this.#input.length, needed - this.#start));
    const kept = this.#input.subarray(from);
    const input = new Float32Array(kept.length + pcm.length);
    input.set(kept);
    input.set(pcm, kept.length);
    this.#input = input;
    this.#start += from;
  }

  /** Half a frame of output: the last one fades out as the next fades in. */
  #nextFrame(): Int16Array {
    const at = this.#frames === 0 ? 0 : this.#bestPlace();
    const next = at - this.#start;
    const before = this.#last + this.#hop - this.#start;
    const isFirst = this.#frames === 0;
    const frame = Int16Array.from(this.#fadeIn, (share, index) => {
      const sample = this.#input[next + index] ?? 0;
      if (isFirst) return sample;
      return Math.round(sample * share + (this.#input[before + index] ?? 0) * (1 - share));
    });
    this.#last = at;
    this.#frames += 1;
    return frame;
  }

  /** The place near the next frame's own where the input fits best to what the last frame continues with. */
  #bestPlace(): number {
    const place = this.#place();
    const first = Math.max(this.#start, place - this.#search);
    const coarse = this.#bestOf(first, place + this.#search, COARSE);
    return this.#bestOf(Math.max(first, coarse - COARSE + 1), coarse + COARSE - 1, 1);
  }

  #bestOf(first: number, last: number, step: number): number {
    let best = first;
    let bestFit = Number.NEGATIVE_INFINITY;
    for (let at = first; at <= last; at += step) {
      const fit = this.#fitOf(at);
      if (fit <= bestFit) continue;
      best = at;
      bestFit = fit;
    }
    return best;
  }

  /** How alike the two pieces are that would overlap. */
  #fitOf(at: number): number {
    const next = at - this.#start;
    const before = this.#last + this.#hop - this.#start;
    let product = 0;
    let power = 1;
    for (let index = 0; index < this.#hop; index += COARSE) {
      const sample = this.#input[next + index] ?? 0;
      product += sample * (this.#input[before + index] ?? 0);
      power += sample * sample;
    }
    return product / Math.sqrt(power);
  }

  #join(frames: readonly Int16Array[], most: number): Int16Array {
    const joined = new Int16Array(Math.min(most, frames.length * this.#hop));
    for (const [index, frame] of frames.entries()) {
      const at = index * this.#hop;
      joined.set(frame.subarray(0, joined.length - at), at);
    }
    this.#samplesOut += joined.length;
    return joined;
  }
}
