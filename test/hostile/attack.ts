import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from "node:http2";
import { connect, type Socket } from "node:net";
import { frameTypes } from "../support/sockets.ts";

/** One hostile input, as data. */
export type HostileCase = {
  readonly name: string;
  /** The guard that answers it: cases are counted by distinct guard. */
  readonly guard: string;
  readonly attack: Attack;
  /** What comes back, as `Outcome` puts it. */
  readonly expected: RegExp;
  /** How long it may keep the event loop busy, in milliseconds of CPU time; 250 if absent. */
  readonly maxStallMs?: number;
};

/** A case's name and its guard. */
export type Title = readonly [name: string, guard: string];

/**
 * What is sent.
 * - `raw`: bytes on a fresh connection, in pieces where `pieceBytes` says so.
 * - `frames`: HTTP/2 frames on a fresh connection.
 * - `h2`: one request on a fresh HTTP/2 connection.
 * - `script`: whatever else; it answers its own outcome.
 */
export type Attack =
  | { readonly kind: "raw"; readonly bytes: Uint8Array | string; readonly pieceBytes?: number }
  | { readonly kind: "frames"; readonly bytes: Uint8Array }
  | ({ readonly kind: "h2" } & Request)
  | { readonly kind: "script"; readonly run: (at: Attacked) => Promise<Outcome> };

/** One HTTP/2 request; a POST unless its headers say otherwise. */
export type Request = {
  readonly headers: Headers;
  readonly body?: Uint8Array | string | undefined;
};

type Headers = Readonly<Record<string, string | readonly string[]>>;

const GOAWAY = 7;
const WINDOW_UPDATE = 8;

/** The ports under attack, both of which speak everything. */
export type Attacked = { readonly grpcPort: number; readonly httpPort: number };

/**
 * What came back, as text: for `raw` the bytes, a character each; for `frames` a line each, as
 * `frameLines` puts it; for `h2` the header and trailer, a line each, and the body. Then `<closed>`
 * or `<open>`; `<silent>` if nothing came.
 */
export type Outcome = string;

/** Whether an outcome is one that was waited for. */
export type IsExpected = (outcome: Outcome) => boolean;

/** How long an expected answer is waited for, on a machine that has other work as well. */
const answerMs = 5000;
/** How long quiet must last to count as the end of an answer, or as none. */
const quietMs = 100;

/** Sends an attack and reads what comes back, until it is expected or nothing more can come. */
export function launch(attack: Attack, at: Attacked, isExpected: IsExpected): Promise<Outcome> {
  switch (attack.kind) {
    case "raw":
      return sendRaw(at.httpPort, attack, isExpected);
    case "frames":
      return sendRaw(at.grpcPort, attack, (text) => isExpected(frameLines(text))).then(frameLines);
    case "h2":
      return sendHttp2(at.grpcPort, attack, isExpected);
    case "script":
      return attack.run(at);
  }
}

type Bytes = { readonly bytes: Uint8Array | string; readonly pieceBytes?: number };

/** Writes bytes on a fresh connection and reads until it closes or falls quiet. */
async function sendRaw(
  port: number,
  { bytes, pieceBytes = Number.POSITIVE_INFINITY }: Bytes,
  isExpected: IsExpected,
): Promise<Outcome> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => undefined);
  const reading = readUntilQuiet(socket, isExpected);
  const all = Buffer.from(bytes as string, "latin1");
  for (let from = 0; from < all.length && !socket.destroyed; from += pieceBytes) {
    const piece = all.subarray(from, Math.min(all.length, from + pieceBytes));
    if (!socket.write(piece)) await drainOrClose(socket);
  }
  const outcome = await reading;
  socket.destroy();
  return outcome;
}

/** `once` of node:events rejects on an error, and a connection that is cut has one. */
function drainOrClose(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once("drain", resolve).once("close", () => resolve());
  });
}

async function readUntilQuiet(socket: Socket, isExpected: IsExpected): Promise<Outcome> {
  const over = Promise.withResolvers<void>();
  const chunks: string[] = [];
  let state = "<open>";
  const read = () =>
    chunks.length === 0 && state === "<open>" ? "<silent>" : `${chunks.join("")}\n${state}`;
  const end = () => {
    state = "<closed>";
    over.resolve();
  };
  const whenQuiet = () => {
    if (isExpected(read())) over.resolve();
  };
  let quiet = setTimeout(whenQuiet, 3 * quietMs);
  const limit = setTimeout(over.resolve, answerMs);
  socket.on("data", (bytes: Buffer) => {
    chunks.push(bytes.toString("latin1"));
    clearTimeout(quiet);
    quiet = setTimeout(whenQuiet, quietMs);
  });
  socket.once("end", end).once("close", end);
  await over.promise;
  clearTimeout(quiet);
  clearTimeout(limit);
  return read();
}

/** The frames of HTTP/2, a line each: `settings`, `goaway 1`, `reset 1 8`. Repeats count once. */
function frameLines(outcome: Outcome): Outcome {
  const cut = outcome.lastIndexOf("\n<");
  if (cut < 0) return outcome;
  const bytes = Buffer.from(outcome.slice(0, cut), "latin1");
  const lines = new Set<string>();
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const payload = bytes.subarray(at + 9, at + 9 + bytes.readUIntBE(at, 3));
    lines.add(frameLine(bytes.readUInt8(at + 3), bytes.readUInt32BE(at + 5), payload));
  }
  return [...lines, outcome.slice(cut + 1)].join("\n");
}

function frameLine(type: number, stream: number, payload: Buffer): string {
  const { data, headers, reset, settings, ping } = frameTypes;
  const names = new Map([
    [data, "data"],
    [headers, "headers"],
    [settings, "settings"],
    [ping, "ping"],
    [WINDOW_UPDATE, "window"],
    [GOAWAY, `goaway ${payload.length < 8 ? "?" : payload.readUInt32BE(4)}`],
    [reset, `reset ${stream} ${payload.length < 4 ? "?" : payload.readUInt32BE(0)}`],
  ]);
  return names.get(type) ?? `frame ${type}`;
}

/** Sends one request over HTTP/2 and reads the response to its end. */
async function sendHttp2(
  port: number,
  { headers, body }: Request,
  isExpected: IsExpected,
): Promise<Outcome> {
  const session = await openSession(port);
  try {
    return await requestOn(session, { headers, body }, isExpected);
  } finally {
    session.destroy();
  }
}

/** Opens an HTTP/2 connection whose errors are nobody's. */
export async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  await once(session, "connect");
  return session;
}

/** One request on an open connection, read to its end or until an answer is expected to stay open. */
export async function requestOn(
  session: ClientHttp2Session,
  { headers, body = "" }: Request,
  isExpected: IsExpected = () => false,
): Promise<Outcome> {
  const stream = session.request({ ":method": "POST", ...headers }, { endStream: false });
  const lines: string[] = [];
  const chunks: string[] = [];
  const note = (fields: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(fields)) lines.push(`${name}: ${value}`);
  };
  stream
    .on("error", () => undefined)
    .on("response", note)
    .on("trailers", note);
  stream.on("data", (bytes: Buffer) => chunks.push(bytes.toString("latin1")));
  stream.end(Buffer.from(body as string, "latin1"));
  const read = (state: string) => `${lines.join("\n")}\n\n${bodyOf(lines, chunks)}\n${state}`;
  const isClosed = await closedOrExpected(stream, () => isExpected(read("<open>")));
  const outcome = read(isClosed ? `<closed ${stream.rstCode}>` : "<open>");
  if (!isClosed) stream.close(8);
  return outcome;
}

/** The body; gRPC-Web's text mode writes it in base64. */
function bodyOf(lines: readonly string[], chunks: readonly string[]): string {
  const body = chunks.join("");
  const isText = lines.some((line) => /^content-type: application\/grpc-web-text/.test(line));
  return isText ? Buffer.from(body, "base64").toString("latin1") : body;
}

/** Resolves with true once a stream is closed, with false if it may stay open or takes too long. */
function closedOrExpected(stream: ClientHttp2Stream, mayStayOpen: () => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const checks = setInterval(() => mayStayOpen() && settle(false), 5 * quietMs);
    const limit = setTimeout(() => settle(false), answerMs);
    const settle = (isClosed: boolean) => {
      clearInterval(checks);
      clearTimeout(limit);
      resolve(isClosed);
    };
    stream.once("close", () => settle(true));
  });
}
