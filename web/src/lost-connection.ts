import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { StreamingService, StreamResponse } from "../../gen/streaming/streaming_pb.ts";
import { isBroken, reasonKey } from "./failure.ts";
import { pause } from "./pause.ts";

type StreamingClient = Client<typeof StreamingService>;

/** A request for a turn that has a name. */
type NamedRequest = Parameters<StreamingClient["streamAudio"]>[0] & {
  readonly hardwareId: string;
  readonly turnId: string;
};

/** How long a lost turn is asked for, and how often. The gateway keeps it for 30 s; the user waits less. */
const GRACE_MS = 10_000;
const RETRY_EVERY_MS = 250;

/**
 * The messages of a turn, each once, also through lost connections. Throws a ConnectError: the loss, if the
 * turn cannot be taken up again. When the signal fires the turn is ended at the gateway as well, to which
 * a call that is cancelled is a lost connection.
 */
export async function* streamThrough(
  client: StreamingClient,
  request: NamedRequest,
  signal: AbortSignal,
): AsyncGenerator<StreamResponse> {
  const { hardwareId, turnId } = request;
  const end = () => void client.interruptSession({ hardwareId, turnId }).catch(() => undefined);
  signal.addEventListener("abort", end, { once: true });
  try {
    yield* untilOver(client, { ...request, resumable: true }, signal);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

async function* untilOver(
  client: StreamingClient,
  request: NamedRequest,
  signal: AbortSignal,
): AsyncGenerator<StreamResponse> {
  const place: Place = { last: 0n, trouble: undefined };
  let lost: Loss | undefined;
  for (;;) {
    try {
      for await (const message of readOn(client, request, place, signal)) {
        lost = undefined;
        yield message;
      }
      return;
    } catch (error) {
      const loss = { error, trouble: place.trouble, atMs: performance.now() };
      lost ??= loss;
      if (place.last === 0n || signal.aborted || !isWorthRetrying(error, lost)) {
        return yield* failAs(isOutOfReach(error) ? lost : loss);
      }
      await pause(RETRY_EVERY_MS, signal);
    }
  }
}

/** How far the turn was read, and the gateway's word on why it ended the stream. */
type Place = { last: bigint; trouble: StreamResponse | undefined };

async function* readOn(
  client: StreamingClient,
  request: NamedRequest,
  place: Place,
  signal: AbortSignal,
): AsyncGenerator<StreamResponse> {
  const again = place.last > 0n ? { ...request, resumeAfter: place.last } : request;
  place.trouble = undefined;
  for await (const message of client.streamAudio(again, { signal })) {
    if (message.content.case === "errorMessage") {
      place.trouble = message;
      continue;
    }
    place.last = message.sequence;
    yield message;
  }
}

/** The connection was lost, and nothing has come since. */
type Loss = {
  readonly error: unknown;
  readonly trouble: StreamResponse | undefined;
  readonly atMs: number;
};

function* failAs({ error, trouble }: Loss): Generator<StreamResponse> {
  if (trouble) yield trouble;
  throw error;
}

function isWorthRetrying(error: unknown, { atMs }: Loss): boolean {
  const failure = ConnectError.from(error);
  // A gateway that stops has others go on with its turns, if there are others.
  const isStopping = failure.metadata.get(reasonKey) === "shutdown";
  return (isBroken(failure) || isStopping) && performance.now() - atMs < GRACE_MS;
}

/** Nobody has the turn any more, or nobody answers: that is no news of why it was lost. */
function isOutOfReach(error: unknown): boolean {
  const failure = ConnectError.from(error);
  return failure.code === Code.NotFound || isBroken(failure);
}
