import type { Conversation } from "../conversation/conversation.ts";
import type { TurnChunk } from "../conversation/turn.ts";
import { type Encoding, type Format, formats } from "./speak-encoding.ts";
import type { SpeakRequest } from "./speak-fields.ts";

/** Bytes of a reply that are gathered at most, to tell its length: 2 s of sound. */
const MAX_GATHERED_BYTES = 192_000;

/** The client of a response. */
export type Listener = {
  /** Fires when the client disconnects. */
  readonly signal: AbortSignal;
  /** Whether it is an EventSource, which reconnects by itself: its events have ids. */
  readonly isEventSource: boolean;
  /** Closes the connection: after a clean end, half a file would look complete. */
  cut(): void;
};

/** The response headers of a format. */
export function answerHeaders({ contentType }: Format): Record<string, string> {
  return { "content-type": contentType, "cache-control": "no-store", "accept-ranges": "none" };
}

/**
 * Runs a turn and answers with what it makes, while it is made. Throws what failed before the first
 * byte. A short file whose end is there as soon as its beginning tells its length. Finding that out
 * takes as long as the stages need for 2 s of sound that is there, and waits for none.
 */
export async function answerTurn(
  { turn, format: name }: SpeakRequest,
  conversation: Conversation,
  listener: Listener,
): Promise<Response> {
  const left = new AbortController();
  const signal = AbortSignal.any([listener.signal, left.signal]);
  const format = formats[name];
  const pieces = encode(format.encode(listener.isEventSource), conversation.talk(turn, signal));
  // Only once there is something to send is it known whether the answer is 200.
  const first = await pieces.next();
  const { ready, next } = await gather(first, pieces, format.isFile ? MAX_GATHERED_BYTES : 0);
  const headers = answerHeaders(format);
  if (next === undefined && format.isFile) {
    const file = wholeFile(format, ready);
    return new Response(file, { headers: { ...headers, "content-length": `${file.length}` } });
  }
  const body = toStream(openFile(format, ready, next, pieces), {
    onLeave: () => left.abort(),
    onFailure: () => listener.cut(),
  });
  return new Response(body, { headers });
}

async function* encode(
  encoding: Encoding,
  batches: AsyncGenerator<readonly TurnChunk[]>,
): AsyncGenerator<Uint8Array> {
  let hasBegun = false;
  try {
    for await (const chunks of batches) {
      for (const chunk of chunks) {
        const bytes = encoding.chunk(chunk);
        if (bytes === undefined) continue;
        hasBegun = true;
        yield bytes;
      }
    }
    const end = encoding.end();
    if (end) yield end;
  } catch (error) {
    const last = hasBegun ? encoding.fail(error) : undefined;
    if (last === undefined) throw error;
    yield last;
  }
}

type Step = IteratorResult<Uint8Array>;

/** What is there already, and the step to wait for; none if the end is there as well. */
type Gathered = { readonly ready: readonly Uint8Array[]; readonly next?: Promise<Step> };

/** Takes what comes within two turns of the event loop each, from `first` on. Never rejects. */
async function gather(
  first: Step,
  pieces: AsyncGenerator<Uint8Array>,
  maxBytes: number,
): Promise<Gathered> {
  if (first.done) return { ready: [] };
  const ready = [first.value];
  for (let bytes = first.value.length; ; ) {
    const next = pieces.next();
    // Whoever reads on is told.
    const step = await Promise.race([next.catch(() => undefined), twoTurnsOfTheLoop()]);
    if (step?.done) return { ready };
    if (step === undefined) return { ready, next };
    ready.push(step.value);
    bytes += step.value.length;
    if (bytes > maxBytes) return { ready, next: pieces.next() };
  }
}

/** The sentence scanner gives the loop one when it has held it for long. */
function twoTurnsOfTheLoop(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve, undefined)));
}

function wholeFile(format: Format, ready: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const dataBytes = ready.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([format.begin(dataBytes), ...ready]);
}

async function* openFile(
  format: Format,
  ready: readonly Uint8Array[],
  next: Promise<Step> | undefined,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield format.begin();
  yield* ready;
  let dataBytes = ready.reduce((sum, { length }) => sum + length, 0);
  for (let step = await next; step && !step.done; step = await rest.next()) {
    yield step.value;
    dataBytes += step.value.length;
  }
  yield format.pad(dataBytes);
}

function toStream(
  bytes: AsyncGenerator<Uint8Array>,
  { onLeave, onFailure }: { readonly onLeave: () => void; readonly onFailure: () => void },
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const step = await bytes.next();
        if (!step.done) return controller.enqueue(step.value);
      } catch {
        onFailure();
      }
      controller.close();
    },
    cancel: onLeave,
  });
}
