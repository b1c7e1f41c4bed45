/** What a clause is spoken with: its own sound, then silence before the next. */
export type SoundShape = {
  readonly sampleRateHz: number;
  /** Silence after the clause. */
  readonly pauseMs: number;
  /**
   * What brings the voice to about -20 dBFS RMS: a factor, the same for every clause, so that
   * loudness never jumps.
   */
  readonly gain: number;
};

/** Samples above this, of full scale, are bent so that none reaches it. */
const kneeLevel = 0.8;

/** Sound is told from the model's noise floor (-60 dBFS) in windows of this length. */
const windowMs = 5;
const onsetRms = 10 ** (-48 / 20);
const endRms = 10 ** (-52 / 20);
/** Kept around the sound, for the consonants that begin and end below the threshold. */
const leadMs = 30;
const tailMs = 40;
const fadeInMs = 5;
const fadeOutMs = 15;

/**
 * Makes 16-bit PCM of the model's samples (±1, mono): the model's long silences before and after
 * are replaced by a pause of the wanted length, the edges are faded so that clauses join without a
 * click, and nothing clips. Never empty.
 */
export function shapeSound(samples: Float32Array, shape: SoundShape): Int16Array {
  const perMs = shape.sampleRateHz / 1000;
  const [start, end] = findSpeech(samples, perMs);
  const spoken = end - start;
  const pcm = new Int16Array(Math.max(1, spoken + Math.round(shape.pauseMs * perMs)));
  for (let at = 0; at < spoken; at++) {
    const fade = Math.min(1, at / (fadeInMs * perMs), (spoken - at) / (fadeOutMs * perMs));
    pcm[at] = Math.round(bend((samples[start + at] ?? 0) * shape.gain * fade) * 0x7fff);
  }
  return pcm;
}

/** Where speech begins and ends; all of it if it is nowhere loud. */
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

/** Leaves what is below the knee as it is, and brings the rest below full scale. */
function bend(sample: number): number {
  const level = Math.abs(sample);
  if (!(level > kneeLevel)) return sample || 0;
  const room = 1 - kneeLevel;
  return Math.sign(sample) * (kneeLevel + room * Math.tanh((level - kneeLevel) / room));
}
