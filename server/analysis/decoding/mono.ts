/** Sound of a file, as its decoder gives it: mono samples of 16 bits. */
export type Pcm = {
  readonly pcm: Int16Array;
  /** Samples a second. */
  readonly sampleRateHz: number;
};

/** A decoder of one format. Throws an `AnalysisError`. */
export type Decode = (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Pcm>;

/**
 * The mean of all channels, in 16 bits. What is not a number counts as silence; what is beyond full scale
 * is clipped.
 */
export function mixDown(channels: readonly Float32Array[], fullScale = 1): Int16Array {
  const pcm = new Int16Array(channels[0]?.length ?? 0);
  const scale = 32_768 / (fullScale * channels.length);
  for (let at = 0; at < pcm.length; at++) {
    let sum = 0;
    for (const channel of channels) sum += channel[at] as number;
    const sample = Math.round(sum * scale);
    pcm[at] = Number.isNaN(sample) ? 0 : Math.max(-32_768, Math.min(32_767, sample));
  }
  return pcm;
}
