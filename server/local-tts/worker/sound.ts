/** How to shape the audio of a clause. */
export type AudioShape = {
  readonly sampleRateHz: number;
  /** Silence after the clause. */
  readonly pauseMs: number;
  /**
   * The factor that brings the voice to about -20 dBFS RMS. It is the same for every clause, so that
   * the loudness is steady.
   */
  readonly gain: number;
};

/** Samples above this fraction of full scale are compressed, so that none clips. */
const kneeLevel = 0.8;

/** Speech is detected above the model's noise floor (-60 dBFS) in windows of this length. */
const windowMs = 5;
const onsetRms = 10 ** (-48 / 20);
const endRms = 10 ** (-52 / 20);
/** Kept around the speech, for consonants below the threshold. */
const leadMs = 30;
const tailMs = 40;
const fadeInMs = 5;
const fadeOutMs = 15;

/**
 * Converts the model's samples (±1, mono) to 16-bit PCM. Replaces the silence around the speech by a
 * pause, fades the edges so that clauses join without a click, and prevents clipping. Never empty.
 */
export function shapeAudio(samples: Float32Array, shape: AudioShape): Int16Array {
  const perMs = shape.sampleRateHz / 1000;
  const [start, end] = findSpeech(samples, perMs);
  const spoken = end - start;
  const pcm = new Int16Array(Math.max(1, spoken + Math.round(shape.pauseMs * perMs)));
  for (let at = 0; at < spoken; at++) {
    const fade = Math.min(1, at / (fadeInMs * perMs), (spoken - at) / (fadeOutMs * perMs));
    pcm[at] = Math.round(compress((samples[start + at] ?? 0) * shape.gain * fade) * 0x7fff);
  }
  return pcm;
}

/** The range of the speech; everything if it is nowhere loud. */
function findSpeech(samples: Float32Array, perMs: number): readonly [number, number] {
  const width = Math.round(windowMs * perMs);
  const levels = Array.from({ length: Math.ceil(samples.length / width) }, (_, window) =>
    rmsOf(samples.subarray(window * width, (window + 1) * width)),
  );
  const first = levels.findIndex((level) => level > onsetRms);
  const last = levels.findLastIndex((level) => level > endRms);
  if (first < 0 || last < first) return [0, samples.length];
  return [
    Math.max(0, Math.round(first * width - leadMs * perMs)),
    Math.min(samples.length, Math.round((last + 1) * width + tailMs * perMs)),
  ];
}

function rmsOf(samples: Float32Array): number {
  let squares = 0;
  for (const sample of samples) squares += sample * sample;
  return Math.sqrt(squares / samples.length);
}

/** Leaves samples below the knee unchanged, and compresses the rest below full scale. */
function compress(sample: number): number {
  const level = Math.abs(sample);
  if (!(level > kneeLevel)) return sample || 0;
  const headroom = 1 - kneeLevel;
  return Math.sign(sample) * (kneeLevel + headroom * Math.tanh((level - kneeLevel) / headroom));
}
