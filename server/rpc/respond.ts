import type { TurnChunk } from "../conversation/reply.ts";
import type { ErrorStep } from "./response-messages.ts";
import type { ResponseWire } from "./response-wire.ts";
import { clientStatus, endsSilently, toStatus } from "./status.ts";

/** The parts of a streamed response. */
export type Response<Step> = {
  readonly batches: AsyncIterable<readonly TurnChunk[]> | readonly (readonly TurnChunk[])[];
  /** False for a chunk whose message the response wire cannot write. */
  isPlain(chunk: TurnChunk): boolean;
  /** Called with each chunk before it is sent. */
  see(chunk: TurnChunk): void;
  /** A chunk's message, if it has one. */
  step(chunk: TurnChunk): Step | undefined;
  /** The messages after the last chunk. */
  end(): readonly Step[];
};

/**
 * Sends a response and ends it as the contract says: an error before the first message is only a
 * status; after it, an `error_message` comes first, unless the turn was interrupted or left.
 */
export async function* respond<Step>(
  { signal, wire }: { readonly signal: AbortSignal; readonly wire: ResponseWire | undefined },
  begin: () => Response<Step>,
): AsyncGenerator<Step | ErrorStep> {
  let begun = false;
  try {
    const { batches, isPlain, see, step, end } = begin();
    for await (const batch of batches) {
      for (const chunks of runsOf(batch, isPlain)) {
        chunks.forEach(see);
        // When connect-node asks for the next message, it has sent the one before and the header. From
        // then on chunks go directly to the response, except those with a source and the last messages.
        if (begun && wire && chunks.every(isPlain)) {
          await wire.write(chunks, signal);
          continue;
        }
        const messages = chunks.map(step).filter((message) => message !== undefined);
        begun ||= messages.length > 0;
        yield* messages;
      }
    }
    yield* end();
  } catch (error) {
    const status = clientStatus(signal) ?? toStatus(error);
    if (begun && !endsSilently(error)) {
      yield { content: { case: "errorMessage", value: status.rawMessage } };
    }
    throw status;
  }
}

/** Plain chunks that follow each other, together; each other one alone. */
function* runsOf(
  batch: readonly TurnChunk[],
  isPlain: (chunk: TurnChunk) => boolean,
): Generator<readonly TurnChunk[]> {
  let from = 0;
  for (const [at, chunk] of batch.entries()) {
    if (isPlain(chunk)) continue;
    if (at > from) yield batch.slice(from, at);
    yield [chunk];
    from = at + 1;
  }
  if (from < batch.length) yield from === 0 ? batch : batch.slice(from);
}
