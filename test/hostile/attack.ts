import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

/** One hostile input, as data. */
export type HostileCase = {
  readonly name: string;
  /** The guard that answers it: cases are counted by distinct guard. */
  readonly guard: string;
  readonly attack: Attack;
  /** What may come back, as `Outcome` puts it; one of these must match. */
  readonly allowed: readonly RegExp[];
};

/** A case's name and its guard. */
export type Title = readonly [name: string, guard: string];

/**
 * What is sent.
 * - `raw`: bytes on a fresh connection, in pieces where `pieceBytes` says so.
 * - `h2`: one request on a fresh HTTP/2 connection.
 * - `script`: whatever else; it answers its own outcome.
 */
export type Attack =
  | { readonly kind: "raw"; readonly bytes: Uint8Array | string; readonly pieceBytes?: number }
  | { readonly kind: "h2"; readonly headers: Headers; readonly body?: Uint8Array | string }
  | { readonly kind: "script"; readonly run: (at: Attacked) => Promise<Outcome> };

type Headers = Readonly<Record<string, string | readonly string[]>>;

/** The ports under attack, both of which speak everything. */
export type Attacked = { readonly grpcPort: number; readonly httpPort: number };

/**
 * What came back, as text: for `raw` the bytes, a character each; for `h2` the header and trailer, a
 * line each, and the body. Then `<closed>` or `<open>`; `<silent>` if nothing came.
 */
export type Outcome = string;

/** How long an answer may take, and how long quiet must last to count as its end. */
const answerMs = 1000;
const quietMs = 120;

/** Sends an attack and reads what comes back. */
export function launch(attack: Attack, at: Attacked): Promise<Outcome> {
  switch (attack.kind) {
    case "raw":
      return sendRaw(at.httpPort, attack.bytes, attack.pieceBytes);
    case "h2":
      return sendHttp2(at.grpcPort, attack.headers, attack.body);
    case "script":
      return attack.run(at);
  }
}

/** Writes bytes on a fresh connection and reads until it closes or falls quiet. */
async function sendRaw(
  port: number,
  bytes: Uint8Array | string,
  pieceBytes = Number.POSITIVE_INFINITY,
): Promise<Outcome> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => undefined);
  const reading = readUntilQuiet(socket);
  const all = Buffer.from(bytes as string, "latin1");
  for (let from = 0; from < all.length && !socket.destroyed; from += pieceBytes) {
    const piece = all.subarray(from, Math.min(all.length, from + pieceBytes));
    if (!socket.write(piece)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
  }
  const outcome = await reading;
  socket.destroy();
  return outcome;
}

type Readable = NodeJS.EventEmitter & { readonly closed: boolean };

async function readUntilQuiet(socket: Readable): Promise<Outcome> {
  const done = Promise.withResolvers<void>();
  let text = "";
  let timer = setTimeout(done.resolve, answerMs);
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
    clearTimeout(timer);
    timer = setTimeout(done.resolve, quietMs);
  });
  socket.once("end", done.resolve).once("close", done.resolve);
  let ended = false;
  socket.once("end", () => {
    ended = true;
  });
  await done.promise;
  clearTimeout(timer);
  const state = ended || socket.closed ? "<closed>" : "<open>";
  return text === "" && state === "<open>" ? "<silent>" : `${text}\n${state}`;
}

/** Sends one request over HTTP/2 and reads the response to its end. */
async function sendHttp2(
  port: number,
  headers: Headers,
  body: Uint8Array | string = "",
): Promise<Outcome> {
  const session = await openSession(port);
  try {
    return await requestOn(session, headers, body);
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

/** One request on an open connection. */
export async function requestOn(
  session: ClientHttp2Session,
  headers: Headers,
  body: Uint8Array | string = "",
): Promise<Outcome> {
  const stream = session.request({ ":method": "POST", ...headers }, { endStream: false });
  stream.on("error", () => undefined);
  const lines: string[] = [];
  const note = (fields: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(fields)) lines.push(`${name}: ${value}`);
  };
  stream.on("response", note).on("trailers", note);
  let answer = "";
  stream.on("data", (bytes: Buffer) => {
    answer += bytes.toString("latin1");
  });
  stream.end(Buffer.from(body as string, "latin1"));
  const closed = new Promise<boolean>((resolve) => stream.once("close", () => resolve(true)));
  const late = new Promise<boolean>((resolve) => setTimeout(resolve, answerMs, false).unref());
  const isClosed = await Promise.race([closed, late]);
  if (!isClosed) stream.close(8);
  return `${lines.join("\n")}\n\n${answer}\n${isClosed ? `<closed ${stream.rstCode}>` : "<open>"}`;
}
