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
  /** A chunk's message, if it has one. Called once for each chunk that connect-node sends. */
  step(chunk: TurnChunk): Step | undefined;
  /** The messages after the last chunk. */
  end(): readonly Step[];
};

type Call = { readonly signal: AbortSignal; readonly wire: ResponseWire | undefined };

/**
 * Sends a response and ends it as the contract says: an error before the first message is only a
 * status; after it, an `error_message` comes first, unless the turn was interrupted or left.
 */
export async function* respond<Step>(
  call: Call,
  begin: () => Response<Step>,
): AsyncGenerator<Step | ErrorStep> {
  const progress: Progress = { begun: false };
  try {
    yield* send(call, begin(), progress);
  } catch (error) {
    const status = clientStatus(call.signal) ?? toStatus(error);
    if (progress.begun && !endsSilently(error)) {
      yield { content: { case: "errorMessage", value: status.rawMessage } };
    }
    throw status;
  }
}

/**
 * Yields the messages that connect-node sends, and has the wire write the others. When connect-node
 * asks for the next message, it has sent the one before and the header: from the first message on,
 * chunks go directly to the response, except those with a source and the last messages.
 */
async function* send<Step>(
  call: Call,
  response: Response<Step>,
  progress: Progress,
): AsyncGenerator<Step> {
  const { signal, wire } = call;
  for await (const batch of response.batches) {
    // Nearly every batch: to sort it would cost more than to write it.
    if (wire && progress.begun && batch.every(response.isPlain)) {
      batch.forEach(response.see);
      const taken = wire.write(batch, signal);
      if (taken) await taken;
    } else {
      yield* sendSorted(call, { ...response, batch }, progress);
    }
  }
  yield* response.end();
}

type Progress = { begun: boolean };

async function* sendSorted<Step>(
  { signal, wire }: Call,
  { batch, isPlain, see, step }: Response<Step> & { readonly batch: readonly TurnChunk[] },
  progress: Progress,
): AsyncGenerator<Step> {
  for (const chunks of runsOf(batch, isPlain)) {
    chunks.forEach(see);
    const isDirect = wire !== undefined && chunks.every(isPlain);
    const enough = isDirect ? Number(!progress.begun) : chunks.length;
    const { messages, rest } = takeMessages(chunks, step, enough);
    progress.begun ||= messages.length > 0;
    yield* messages;
    if (rest.length > 0) await wire?.write(rest, signal);
  }
}

/** The messages of the first chunks, until there are `enough`, and the chunks that are left. */
function takeMessages<Step>(
  chunks: readonly TurnChunk[],
  step: Response<Step>["step"],
  enough: number,
): { readonly messages: readonly Step[]; readonly rest: readonly TurnChunk[] } {
  const messages: Step[] = [];
  let taken = 0;
  for (const chunk of chunks) {
    if (messages.length >= enough) break;
    taken += 1;
    const message = step(chunk);
    if (message !== undefined) messages.push(message);
  }
  return { messages, rest: chunks.slice(taken) };
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
