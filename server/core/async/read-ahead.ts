import { type Channel, createChannel } from "./channel.ts";

/**
 * Starts to pull `source` at once, ahead of whoever reads the result, and keeps `capacity` items
 * ready at most (1 or more). Order and errors are the source's; items come before the error that
 * followed them. When the signal fires the reader throws its reason; when the reader leaves, the
 * source is returned. `batches` of the answer reads all that is ready at a time.
 */
export function readAhead<T>(
  source: AsyncIterable<T>,
  capacity: number,
  signal: AbortSignal,
): Channel<T> {
  const channel = createChannel<T>(capacity, signal);
  const pump = async () => {
    for await (const item of source) {
      if (!(await channel.push(item))) return;
    }
  };
  pump().then(
    () => channel.close(),
    (error) => channel.close(error),
  );
  return channel;
}
