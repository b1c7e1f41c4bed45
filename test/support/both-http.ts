import { once } from "node:events";
import { constants, type IncomingHttpHeaders } from "node:http2";
import { closeOf, openHttp2, openRaw } from "./sockets.ts";

/** A request as it goes over the wire. */
export type WireRequest = {
  readonly method?: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Sends the body without its length: in chunks over HTTP/1.1, bare over HTTP/2. */
  readonly withoutLength?: true;
};

/** A response as it came. */
type WireAnswer = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Trailers, if the response had any. */
  readonly trailers: IncomingHttpHeaders;
  /** True if headers were all that came: over HTTP/2 one frame that ends the stream. */
  readonly headersAlone: boolean;
};

/** Sends one request on a connection of its own and reads the answer to its end. */
export type AskWire = (port: number, request: WireRequest) => Promise<WireAnswer>;

/** Both versions of HTTP, byte by byte. Connections are closed by `closeAll`. */
export const bothHttp: readonly { readonly version: string; readonly ask: AskWire }[] = [
  { version: "HTTP/1.1", ask: askHttp1 },
  { version: "HTTP/2", ask: askHttp2 },
];

async function askHttp1(port: number, request: WireRequest): Promise<WireAnswer> {
  const { method = "POST", path, headers = {}, body = "", withoutLength } = request;
  const client = await openRaw({ host: "127.0.0.1", port });
  const lines = Object.entries({
    host: "localhost",
    connection: "close",
    ...(withoutLength ? { "transfer-encoding": "chunked" } : lengthOf(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  client.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  client.socket.write(withoutLength ? writeChunks(Buffer.from(body)) : body);
  const [head = "", rest = ""] = splitOnce(await client.closed(), "\r\n\r\n");
  const [statusLine = "", ...headerLines] = head.split("\r\n");
  const answered = readFields(headerLines);
  const [bytes, trailerLines] =
    answered["transfer-encoding"] === "chunked" ? readChunks(rest) : [rest, []];
  return {
    status: Number(statusLine.split(" ")[1]),
    headers: answered,
    body: Buffer.from(bytes, "latin1"),
    trailers: readFields(trailerLines),
    headersAlone: rest === "",
  };
}

function lengthOf(body: Uint8Array | string) {
  return { "content-length": String(Buffer.byteLength(body)) };
}

/** A chunked body of two chunks. */
function writeChunks(body: Buffer): Buffer {
  const middle = Math.ceil(body.length / 2);
  const chunks = [body.subarray(0, middle), body.subarray(middle)].flatMap((chunk) => [
    Buffer.from(`${chunk.length.toString(16)}\r\n`),
    chunk,
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...chunks, Buffer.from("0\r\n\r\n")]);
}

function splitOnce(text: string, border: string): readonly string[] {
  const at = text.indexOf(border);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + border.length)];
}

function readFields(lines: readonly string[]): IncomingHttpHeaders {
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", value = ""] = splitOnce(line, ": ");
      return [name.toLowerCase(), value];
    }),
  );
}

/** The bytes of a chunked body, and the lines of its trailers. */
function readChunks(text: string): [string, string[]] {
  let bytes = "";
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    const length = Number.parseInt(text.slice(at, end), 16);
    if (Number.isNaN(length)) throw new Error(`no length of a chunk at ${at} of ${text}`);
    if (length === 0)
      return [
        bytes,
        text
          .slice(end + 2)
          .trim()
          .split("\r\n")
          .filter(Boolean),
      ];
    bytes += text.slice(end + 2, end + 2 + length);
    at = end + 2 + length + 2;
  }
}

async function askHttp2(port: number, request: WireRequest): Promise<WireAnswer> {
  const { method = "POST", path, headers = {}, body = "", withoutLength } = request;
  const session = await openHttp2({ host: "127.0.0.1", port });
  const length = withoutLength ? {} : lengthOf(body);
  const stream = session.request({ ":method": method, ":path": path, ...length, ...headers });
  const pieces: Buffer[] = [];
  let trailers: IncomingHttpHeaders = {};
  stream.on("data", (bytes: Buffer) => pieces.push(bytes));
  stream.on("trailers", (fields: IncomingHttpHeaders) => {
    trailers = fields;
  });
  stream.on("error", () => undefined);
  // Node ends a GET and its like by itself.
  if (!stream.writableEnded) stream.end(body);
  const [answered, flags] = await once(stream, "response");
  await closeOf(stream);
  return {
    status: answered[":status"],
    headers: answered,
    body: Buffer.concat(pieces),
    trailers,
    headersAlone: (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
  };
}
