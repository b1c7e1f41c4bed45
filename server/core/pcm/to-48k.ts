import { createResampler, type Resampler } from "./resample.ts";

/** The one rate that leaves the gateway. */
export const outputRateHz = 48_000;

/** A piece of mono PCM with its rate. */
export type RatedPcm = {
  readonly pcm: Int16Array;
  /** Samples a second, a whole number up to 192000. */
  readonly sampleRateHz: number;
};

/**
 * Brings speech of any rate to 48 kHz. The filter's state is kept from part to part, so that no
 * border is heard; it is emptied at the end and where the rate changes. No part is empty.
 *
 * When `parts` throws, the samples that the filter still holds leave first and the error follows.
 * Throws a RangeError for a rate that `createResampler` does not know.
 */
export async function* to48k(parts: AsyncIterable<RatedPcm>): AsyncGenerator<Int16Array> {
  const converter = createConverter();
  try {
    for await (const part of parts) yield* converter.push(part);
  } catch (error) {
    yield* converter.flush();
    throw error;
  }
  yield* converter.flush();
}

/** The state between one part and the next, for callers that have more to pass on than samples. */
export type Converter = {
  /** Takes the part in and yields what is ready. */
  push(part: RatedPcm): Generator<Int16Array>;
  /** Yields what the filter still holds. The converter is then as new. */
  flush(): Generator<Int16Array>;
};

/** Brings samples of any rate to 48 kHz. */
export function createConverter(): Converter {
  let rateHz = outputRateHz;
  let resampler: Resampler = createResampler(rateHz, outputRateHz);
  return {
    *push({ pcm, sampleRateHz }: RatedPcm): Generator<Int16Array> {
      if (sampleRateHz !== rateHz) {
        yield* some(resampler.flush());
        resampler = createResampler(sampleRateHz, outputRateHz);
        rateHz = sampleRateHz;
      }
      yield* some(resampler.push(pcm));
    },
    *flush(): Generator<Int16Array> {
      yield* some(resampler.flush());
    },
  };
}

function* some(pcm: Int16Array): Generator<Int16Array> {
  if (pcm.length > 0) yield pcm;
}
