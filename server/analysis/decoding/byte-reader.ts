import { AnalysisError } from "../errors.ts";

/** Reads a file's bytes in order, whatever pieces they come in. */
export type ByteReader = {
  /** So many bytes. Throws an `AnalysisError` if the file ends within them. */
  read(count: number): Promise<Uint8Array>;
  /** The next bytes without taking them: fewer than `count` at the end of the file. */
  peek(count: number): Promise<Uint8Array>;
  /** Passes bytes over. Throws as `read` does. */
  skip(count: number): Promise<void>;
  /** Whether all bytes were taken. */
  isAtEnd(): Promise<boolean>;
  /** Bytes taken so far. */
  readonly position: () => number;
  /** All bytes that were not taken, as they come. */
  rest(): AsyncGenerator<Uint8Array>;
};

/** The file ends too early. */
export function truncated(format: string): AnalysisError {
  return new AnalysisError("invalid", `the file is cut short: its ${format} ends too early`);
}

/** Creates a reader. `format` names what is read in errors. */
export function createByteReader(source: AsyncIterable<Uint8Array>, format: string): ByteReader {
  const pieces = source[Symbol.asyncIterator]();
  let buffered: Uint8Array = new Uint8Array(0);
  let taken = 0;
  let hasEnded = false;
  const more = async (): Promise<boolean> => {
    if (hasEnded) return false;
    const { done, value } = await pieces.next();
    if (done) hasEnded = true;
    else buffered = buffered.length === 0 ? value : Buffer.concat([buffered, value]);
    return !hasEnded;
  };
  const fill = async (count: number): Promise<void> => {
    while (buffered.length < count && (await more()));
  };
  const take = (count: number): Uint8Array => {
    const bytes = buffered.subarray(0, count);
    buffered = buffered.subarray(count);
    taken += bytes.length;
    return bytes;
  };
  return {
    async read(count) {
      await fill(count);
      if (buffered.length < count) throw truncated(format);
      return take(count);
    },
    async peek(count) {
      await fill(count);
      return buffered.subarray(0, count);
    },
    async skip(count) {
      let left = count;
      while (left > 0) {
        await fill(1);
        if (buffered.length === 0) throw truncated(format);
        left -= take(left).length;
      }
    },
    async isAtEnd() {
      await fill(1);
      return buffered.length === 0;
    },
    position: () => taken,
    async *rest() {
      do {
        if (buffered.length > 0) yield take(buffered.length);
      } while (await more());
    },
  };
}
