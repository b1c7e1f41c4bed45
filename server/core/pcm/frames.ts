/**
 * Cuts a stream of samples into frames of `samplesPerFrame`. A frame leaves as soon as it is full;
 * the last one may be short, none is empty, no sample is lost. A frame may share memory with the
 * part that it came from.
 *
 * When `parts` throws, the samples that have arrived leave first and the error follows: what was
 * handed out is then exactly what was made. Throws a RangeError at once for a frame of no samples.
 */
export function frames(
  parts: AsyncIterable<Int16Array>,
  samplesPerFrame: number,
): AsyncIterable<Int16Array> {
  if (!Number.isInteger(samplesPerFrame) || samplesPerFrame < 1) {
    throw new RangeError(`a frame must hold a whole number of samples: ${samplesPerFrame}`);
  }
  return cut(parts, samplesPerFrame);
}

/** The state between one part and the next. */
export type FrameCutter = {
  /** Takes the part in and yields every frame that it fills. */
  fill(part: Int16Array): Generator<Int16Array>;
  /** Yields what is left, if anything. The last call. */
  rest(): Generator<Int16Array>;
};

async function* cut(parts: AsyncIterable<Int16Array>, length: number): AsyncGenerator<Int16Array> {
  const frame = createFrameCutter(length);
  try {
    for await (const part of parts) yield* frame.fill(part);
  } catch (error) {
    yield* frame.rest();
    throw error;
  }
  yield* frame.rest();
}

/** Cuts samples into frames of `length`, for callers that have more to pass on than samples. */
export function createFrameCutter(length: number): FrameCutter {
  let frame = new Int16Array(length);
  let filled = 0;
  return {
    *fill(part: Int16Array): Generator<Int16Array> {
      let at = 0;
      while (filled + part.length - at >= length) {
        const end = at + length - filled;
        if (filled === 0) {
          yield part.subarray(at, end);
        } else {
          frame.set(part.subarray(at, end), filled);
          filled = 0;
          yield frame;
          frame = new Int16Array(length);
        }
        at = end;
      }
      frame.set(part.subarray(at), filled);
      filled += part.length - at;
    },
    *rest(): Generator<Int16Array> {
      if (filled > 0) yield frame.subarray(0, filled);
    },
  };
}
