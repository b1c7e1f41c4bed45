import { joinPcm } from "./join.ts";
import { createResampler } from "./resample.ts";

/** The one rate that leaves the gateway. */
export const outputRateHz = 48_000;

/** A piece of mono PCM with its rate. */
export type RatedPcm = {
  readonly pcm: Int16Array;
  /** Samples a second, a whole number up to 192000. */
  readonly sampleRateHz: number;
};

/** Brings speech of any rate to 48 kHz. */
export type Converter = {
  /**
   * Takes a part in and answers what is ready, perhaps nothing. Throws a RangeError for a rate that
   * `createResampler` does not know.
   */
  push(part: RatedPcm): Int16Array;
  /** Answers what the filter still holds. The converter is then as new. */
  flush(): Int16Array;
};

/**
 * Makes a converter. The filter's state is kept from part to part, so that no border is heard; it is
 * emptied by `flush` and where the rate changes.
 */
export function createConverter(): Converter {
  let rateHz = outputRateHz;
  let resampler = createResampler(rateHz, outputRateHz);
  return {
    push({ pcm, sampleRateHz }) {
      if (sampleRateHz === rateHz) return resampler.push(pcm);
      const held = resampler.flush();
      resampler = createResampler(sampleRateHz, outputRateHz);
      rateHz = sampleRateHz;
      const ready = resampler.push(pcm);
      return held.length === 0 ? ready : joinPcm([held, ready]);
    },
    flush: () => resampler.flush(),
  };
}
