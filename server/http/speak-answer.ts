import type { Conversation } from "../conversation/conversation.ts";
import type { TurnChunk } from "../conversation/reply.ts";
import { streamBody } from "../core/http.ts";
import type { Encoders } from "../encoding/encoders.ts";
import { type Encoding, type Format, formats } from "./speak-encoding.ts";
import type { SpeakRequest } from "./speak-fields.ts";

/** A reply that tells its length has at most this many characters, which take about 2 s to speak. */
const MAX_SHORT_CHARACTERS = 32;
/** It has at most this much sound: 3 s. */
const MAX_SHORT_BYTES = 288_000;

/** The client of a response. */
export type Listener = {
  /** Fires when the client disconnects. */
  readonly signal: AbortSignal;
  /** Whether it is an EventSource, which reconnects by itself: its events have ids. */
  readonly isEventSource: boolean;
  readonly encoders: Encoders;
  /** Closes the connection: after a clean end, half a file would look complete. */
  cut(): void;
};

/** The response headers of a format. */
export function answerHeaders({ contentType }: Format): Record<string, string> {
  return { "content-type": contentType, "cache-control": "no-store", "accept-ranges": "none" };
}

/**
 * Runs a turn and answers with what it makes, while it is made. Throws what failed before the first
 * byte. A short file whose end is ready together with its first sound has its length in its header.
 */
export async function answerTurn(
  { turn, format: name }: SpeakRequest,
  conversation: Conversation,
  listener: Listener,
): Promise<Response> {
  const left = new AbortController();
  const signal = AbortSignal.any([listener.signal, left.signal]);
  const format = formats[name];
  const encoding = format.encode({ ...listener, signal, hasIds: listener.isEventSource });
  const pieces = encode(encoding, conversation.talk(turn, signal, encoding.listener));
  const { ready, next } = await gather(pieces, format.isFile);
  const headers = answerHeaders(format);
  if (next === undefined && format.isFile) {
    const file = wholeFile(format, ready);
    return new Response(file, { headers: { ...headers, "content-length": `${file.length}` } });
  }
  const body = streamBody(openFile(format, ready, next, pieces), {
    onLeave: () => left.abort(),
    onFailure: () => listener.cut(),
  });
  return new Response(body, { headers });
}

/** A batch of a turn. */
type Piece = {
  /** Empty if the format has no place for anything in it. */
  readonly bytes: Uint8Array;
  /** Characters of the reply's text in it. */
  readonly characters: number;
};

async function* encode(
  encoding: Encoding,
  batches: AsyncGenerator<readonly TurnChunk[]>,
): AsyncGenerator<Piece> {
  let hasBegun = false;
  try {
    for await (const chunks of batches) {
      const bytes = await encodeBatch(encoding, chunks);
      hasBegun ||= bytes.length > 0;
      const characters = chunks.reduce((sum, chunk) => sum + charactersOf(chunk), 0);
      yield { bytes, characters };
    }
    const end = await encoding.end();
    if (end) yield { bytes: end, characters: 0 };
  } catch (error) {
    const last = hasBegun ? encoding.fail(error) : undefined;
    if (last === undefined) throw error;
    yield { bytes: last, characters: 0 };
  } finally {
    encoding.close?.();
  }
}

async function encodeBatch(encoding: Encoding, chunks: readonly TurnChunk[]): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const chunk of chunks) {
    const part = encoding.chunk(chunk);
    const bytes = part instanceof Promise ? await part : part;
    if (bytes) parts.push(bytes);
  }
  return Buffer.concat(parts);
}

function charactersOf(chunk: TurnChunk): number {
  return chunk.type === "text" ? chunk.text.length : 0;
}

type Step = IteratorResult<Piece>;

/** What is ready to be sent, and the step to wait for; none if the end is ready as well. */
type Gathered = { readonly ready: readonly Uint8Array[]; readonly next?: Promise<Step> };

/**
 * Waits for the first bytes, since only then it is known whether the status is 200, and throws what
 * fails before them. If the answer `isFile`, it goes on while the reply is short and its next batch is
 * ready within two turns of the event loop. A longer reply leaves at once.
 */
async function gather(pieces: AsyncGenerator<Piece>, isFile: boolean): Promise<Gathered> {
  const ready: Uint8Array[] = [];
  let bytes = 0;
  let characters = 0;
  let step: Step | undefined = await pieces.next();
  while (!step.done) {
    if (step.value.bytes.length > 0) ready.push(step.value.bytes);
    bytes += step.value.bytes.length;
    characters += step.value.characters;
    const next = pieces.next();
    if (ready.length === 0) {
      step = await next;
      continue;
    }
    // Its error is for the reader, who may leave before it gets there.
    const settled = next.catch(() => undefined);
    if (!isFile || characters > MAX_SHORT_CHARACTERS || bytes > MAX_SHORT_BYTES)
      return { ready, next };
    step = await Promise.race([settled, twoTurnsOfTheLoop()]);
    if (step === undefined) return { ready, next };
  }
  return { ready };
}

/** The sentence scanner gives up the event loop for a turn when it has held it for long. */
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
  rest: AsyncGenerator<Piece>,
): AsyncGenerator<Uint8Array> {
  yield format.begin();
  yield* ready;
  let dataBytes = ready.reduce((sum, { length }) => sum + length, 0);
  for (let step = await next; step && !step.done; step = await rest.next()) {
    yield step.value.bytes;
    dataBytes += step.value.bytes.length;
  }
  yield format.pad(dataBytes);
}
