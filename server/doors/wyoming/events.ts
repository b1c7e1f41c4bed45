import type { Socket } from "node:net";
import { onAbort } from "../../core/async.ts";
import { InvalidRequest } from "../../core/errors.ts";

/** An event of Wyoming's protocol, without its payload: clients of a voice send none. */
export type WyomingEvent = {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
};

/** Bytes of a header, and of the data behind it. */
const MAX_HEADER_BYTES = 256 * 1024;
const MAX_DATA_BYTES = 256 * 1024;
/** Bytes of a payload, which is read and dropped. */
const MAX_PAYLOAD_BYTES = 1024 * 1024;

const LINE_END = 0x0a;

/**
 * Reads events: a line of JSON with `type` and perhaps `data`; then as many bytes of more data, in JSON,
 * and of payload as it says. Ends with the connection. Throws `InvalidRequest` for what is no event, or
 * too long.
 */
export async function* readEvents(socket: AsyncIterable<Buffer>): AsyncGenerator<WyomingEvent> {
  const reader = createReader(socket);
  for (;;) {
    const line = await reader.line();
    if (line === undefined) return;
    const header = parse("header", line);
    const { type, data, data_length: dataLength, payload_length: payloadLength } = header;
    if (typeof type !== "string") throw new InvalidRequest("type", "is required and must be text");
    const more = await reader.bytes(lengthOf("data_length", dataLength, MAX_DATA_BYTES));
    await reader.bytes(lengthOf("payload_length", payloadLength, MAX_PAYLOAD_BYTES));
    yield { type, data: { ...asObject(data), ...(more.length > 0 && parse("data", more)) } };
  }
}

function createReader(socket: AsyncIterable<Buffer>) {
  const pieces = socket[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  /** Whether there was more. */
  const read = async () => {
    const { done, value } = await pieces.next();
    if (!done) held = held.length === 0 ? value : Buffer.concat([held, value]);
    return !done;
  };
  const take = (count: number) => {
    const taken = held.subarray(0, count);
    held = held.subarray(count);
    return taken;
  };
  return {
    /** Without its end; undefined if the connection ends before. */
    async line(): Promise<Buffer | undefined> {
      for (let from = 0; ; ) {
        const at = held.indexOf(LINE_END, from);
        if (at >= 0) return take(at + 1).subarray(0, at);
        if (held.length > MAX_HEADER_BYTES) {
          throw new InvalidRequest("header", `must be at most ${MAX_HEADER_BYTES} bytes`);
        }
        from = held.length;
        if (!(await read())) return undefined;
      }
    },
    async bytes(count: number): Promise<Buffer> {
      while (held.length < count) {
        if (!(await read())) throw new InvalidRequest("event", "is cut short");
      }
      return take(count);
    },
  };
}

function lengthOf(field: string, value: unknown, max: number): number {
  const length = value ?? 0;
  if (typeof length === "number" && Number.isInteger(length) && length >= 0 && length <= max) {
    return length;
  }
  throw new InvalidRequest(field, `must be a number from 0 to ${max}`);
}

function parse(field: string, bytes: Buffer): Record<string, unknown> {
  try {
    return asObject(JSON.parse(bytes.toString("utf8")));
  } catch {
    throw new InvalidRequest(field, "must be an object in JSON");
  }
}

function asObject(value: unknown): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidRequest("data", "must be an object");
}

/**
 * Writes an event. Resolves when the client has taken enough of what was written before: a slow client
 * slows the turn. Throws the signal's reason when that fires.
 */
export async function writeEvent(
  socket: Socket,
  { type, data, payload }: WyomingEvent & { readonly payload?: Uint8Array },
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const length = payload ? { payload_length: payload.length } : {};
  const line = `${JSON.stringify({ type, data, ...length })}\n`;
  const hasRoom = payload
    ? socket.write(Buffer.concat([Buffer.from(line), payload]))
    : socket.write(line);
  if (hasRoom) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const forget = onAbort(signal, reject);
  socket.once("drain", resolve);
  try {
    await promise;
  } finally {
    forget();
    socket.off("drain", resolve);
  }
}
