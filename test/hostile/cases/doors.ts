import type { HostileCase, Title } from "../attack.ts";
import { http1 } from "../wire.ts";

type Extra = Readonly<Record<string, string>>;

const handshake = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const json = { "Content-Type": "application/json" };

/** A request for a WebSocket, and what follows it on the connection. */
function upgrade(
  [name, guard]: Title,
  expected: RegExp,
  { extra = {}, after = "" }: { readonly extra?: Extra; readonly after?: string } = {},
): HostileCase {
  const request = http1("GET /v1/realtime", { ...handshake, ...extra });
  return {
    name: `Doors: ${name}`,
    guard: `doors-${guard}`,
    attack: { kind: "raw", bytes: Buffer.concat([request, Buffer.from(after, "latin1")]) },
    expected,
  };
}

function post([name, guard]: Title, [path, body]: readonly [string, string]): HostileCase {
  return {
    name: `Doors: ${name}`,
    guard: `doors-${guard}`,
    attack: { kind: "raw", bytes: http1(`POST ${path}`, json, body) },
    expected: /^HTTP\/1\.1 4\d\d [\s\S]*"type":"invalid_request_error"/,
  };
}

/** A frame of a client, whose mask is zeros. */
function frame(opcode: number, payload: string, length = payload.length): string {
  const size = Buffer.alloc(10);
  size[0] = 0x80 | opcode;
  size[1] = 0x80 | 127;
  size.writeBigUInt64BE(BigInt(length), 2);
  return `${size.toString("latin1")}\0\0\0\0${payload}`;
}

const refused = /^HTTP\/1\.1 403 (?![\s\S]*101 Switching)/;
const opened = "^HTTP/1\\.1 101 [\\s\\S]*";
const answered = (what: string) => new RegExp(opened + what);
const chat = "/v1/chat/completions";
const speech = "/v1/audio/speech";

/** What the doors for other vendors' clients may be sent. */
export const doorCases: readonly HostileCase[] = [
  upgrade(["a WebSocket of a foreign page", "page"], refused, {
    extra: { Origin: "https://evil.example" },
  }),
  upgrade(["a WebSocket of an opaque page", "opaque"], refused, { extra: { Origin: "null" } }),
  upgrade(["a WebSocket to a rebound name", "rebinding"], refused, {
    extra: { Host: "evil.example" },
  }),
  upgrade(["a WebSocket without a key", "key"], /^HTTP\/1\.1 400 /, {
    extra: { "Sec-WebSocket-Key": "" },
  }),
  upgrade(["a WebSocket of another version", "version"], /^HTTP\/1\.1 400 /, {
    extra: { "Sec-WebSocket-Version": "99" },
  }),
  upgrade(["another upgrade", "upgrade"], /^HTTP\/1\.1 426 /, { extra: { Upgrade: "h2c" } }),
  upgrade(["a message that claims 2^62 bytes", "length"], answered("<closed>$"), {
    after: frame(1, "x", 2 ** 62),
  }),
  upgrade(["a message that is no UTF-8", "utf8"], answered("<closed>$"), {
    after: frame(1, "\xff\xfe"),
  }),
  upgrade(["a message that is not masked", "mask"], answered("<closed>$"), { after: "\x81\x01x" }),
  upgrade(["a message that claims to be compressed", "deflate"], answered("<closed>$"), {
    after: "\xc1\x81\0\0\0\0x",
  }),
  upgrade(["a message that is no JSON", "json"], answered('"code":"invalid_json"'), {
    after: frame(1, "{"),
  }),
  upgrade(["an event by a name of Object's", "prototype"], answered('"param":"type"'), {
    after: frame(1, '{"type":"constructor"}'),
  }),
  upgrade(["JSON that nests", "nesting"], answered('"type":"error"'), {
    after: frame(1, `{"type":${"[".repeat(100_000)}${"]".repeat(100_000)}}`),
  }),
  post(
    ["speech by a name of Object's", "format"],
    [speech, '{"model":"m","input":"x","response_format":"constructor"}'],
  ),
  post(
    ["a chat that nests", "chat-nesting"],
    [chat, `{"model":"m","messages":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
  ),
  post(
    ["a chat of very many messages", "chat-count"],
    [
      chat,
      `{"model":"m","messages":[${Array(20_000).fill('{"role":"user","content":"x"}').join(",")}]}`,
    ],
  ),
];
