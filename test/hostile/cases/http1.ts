import type { HostileCase, Title } from "../attack.ts";
import { asking, envelope, http1, rpc } from "../wire.ts";

const chunked = { "Transfer-Encoding": "chunked", "Content-Type": "application/json" };

function raw([name, guard]: Title, bytes: Uint8Array | string, expected: RegExp): HostileCase {
  return { name: `HTTP/1: ${name}`, guard, attack: { kind: "raw", bytes }, expected };
}

/** A POST of JSON to InterruptSession whose body is written out by hand. */
function chunkedBody(body: string): string {
  const head = http1(`POST ${rpc.interrupt}`, chunked).toString("latin1");
  return head.replace(/Content-Length: \d+\r\n/, "") + body;
}

/** A request written out in full: what `http1` would never write. */
const lines = (...parts: readonly string[]) => `${parts.join("\r\n")}\r\n\r\n`;

/** Requests that are not HTTP, or more than HTTP allows. */
export const http1Cases: readonly HostileCase[] = [
  raw(["no host at all", "host-missing"], lines("GET /health HTTP/1.1"), / 400 .*host/s),
  raw(
    ["HTTP/1.0 without a host, to an RPC", "host-missing-http10"],
    lines(`POST ${rpc.stream} HTTP/1.0`, "Content-Type: application/grpc"),
    / 400 /,
  ),
  raw(
    ["an open bracket as host", "host-malformed-bracket"],
    lines("GET /health HTTP/1.1", "Host: ["),
    / 400 .*host/s,
  ),
  raw(
    ["a host with a path", "host-with-path"],
    lines("GET /health HTTP/1.1", "Host: localhost/a"),
    / 400 /,
  ),
  raw(
    ["a host with credentials", "host-with-userinfo"],
    lines("GET /health HTTP/1.1", "Host: a@localhost"),
    / 400 /,
  ),
  raw(
    ["a host with a port out of range", "host-port-range"],
    lines("GET /health HTTP/1.1", "Host: localhost:99999"),
    / 400 /,
  ),
  raw(["an empty host", "host-empty"], lines("GET /health HTTP/1.1", "Host:"), /^HTTP\/1\.1 400 /),
  raw(
    ["two hosts", "host-twice"],
    lines("GET /health HTTP/1.1", "Host: localhost", "Host: evil.example"),
    / 400 /,
  ),
  raw(["a host of spaces", "host-spaces"], lines("GET /health HTTP/1.1", "Host: a b"), / 400 /),
  raw(
    ["an absolute target of another host", "target-absolute-foreign"],
    lines("GET http://evil.example/health HTTP/1.1", "Host: localhost"),
    /^HTTP\/1\.1 403 /,
  ),
  raw(
    ["a target that no URL can hold", "target-malformed"],
    lines("GET //[ HTTP/1.1", "Host: localhost"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["an asterisk as target", "target-asterisk"],
    lines("OPTIONS * HTTP/1.1", "Host: localhost"),
    /^HTTP\/1\.1 \d/,
  ),
  raw(
    ["CONNECT", "method-connect"],
    lines("CONNECT evil.example:443 HTTP/1.1", "Host: evil.example:443"),
    /^\n<closed>$/,
  ),
  raw(
    ["TRACE", "method-trace"],
    lines("TRACE /health HTTP/1.1", "Host: localhost"),
    /^HTTP\/1\.1 405 /,
  ),
  raw(
    ["a method that does not exist", "method-unknown"],
    lines("BREW /health HTTP/1.1", "Host: localhost"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a method of 10,000 letters", "method-long"],
    lines(`${"A".repeat(10_000)} / HTTP/1.1`, "Host: localhost"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a version that does not exist", "version-unknown"],
    lines("GET /health HTTP/3.7", "Host: localhost"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a bare line feed in the header", "header-bare-lf"],
    "GET /health HTTP/1.1\nHost: localhost\n\n",
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a NUL in a header", "header-nul"],
    lines("GET /health HTTP/1.1", "Host: localhost", "X: a\0b"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a header without a name", "header-nameless"],
    lines("GET /health HTTP/1.1", "Host: localhost", ": a"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["white space before a colon", "header-space-colon"],
    lines("GET /health HTTP/1.1", "Host : localhost"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a folded header", "header-folded"],
    lines("GET /health HTTP/1.1", "Host: localhost", "X: a", " b"),
    /^HTTP\/1\.1 \d/,
  ),
  raw(
    ["a header of 20 KiB", "header-large"],
    lines("GET /health HTTP/1.1", "Host: localhost", `X: ${"x".repeat(20_480)}`),
    /^HTTP\/1\.1 431 /,
  ),
  raw(
    ["5,000 headers", "header-many"],
    lines(
      "GET /health HTTP/1.1",
      "Host: localhost",
      ...Array.from({ length: 5000 }, (_, at) => `X${at}: y`),
    ),
    /^HTTP\/1\.1 431 /,
  ),
  raw(
    ["a target of 64 KiB", "target-long"],
    lines(`GET /${"a".repeat(65_536)} HTTP/1.1`, "Host: localhost"),
    /^HTTP\/1\.1 431 /,
  ),
  raw(
    ["length and chunks at once", "smuggle-cl-te"],
    `${lines(`POST ${rpc.interrupt} HTTP/1.1`, "Host: localhost", "Content-Type: application/json", "Content-Length: 4", "Transfer-Encoding: chunked")}0\r\n\r\n`,
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["two lengths", "smuggle-cl-cl"],
    `${lines(`POST ${rpc.interrupt} HTTP/1.1`, "Host: localhost", "Content-Length: 2", "Content-Length: 40")}{}`,
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a negative length", "length-negative"],
    lines(`POST ${rpc.interrupt} HTTP/1.1`, "Host: localhost", "Content-Length: -1"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a length that overflows", "length-overflow"],
    lines(
      `POST ${rpc.interrupt} HTTP/1.1`,
      "Host: localhost",
      "Content-Length: 99999999999999999999",
    ),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a length in hex", "length-hex"],
    lines(`POST ${rpc.interrupt} HTTP/1.1`, "Host: localhost", "Content-Length: 0x10"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a transfer encoding twice", "smuggle-te-te"],
    `${lines(`POST ${rpc.interrupt} HTTP/1.1`, "Host: localhost", "Transfer-Encoding: chunked", "Transfer-Encoding: identity")}0\r\n\r\n`,
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a transfer encoding that does not exist", "te-unknown"],
    lines(`POST ${rpc.interrupt} HTTP/1.1`, "Host: localhost", "Transfer-Encoding: xchunked"),
    /^HTTP\/1\.1 415 /,
  ),
  raw(
    ["a chunk size that is no number", "chunk-size-garbage"],
    chunkedBody("zz\r\n{}\r\n0\r\n\r\n"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a chunk size that overflows", "chunk-size-overflow"],
    chunkedBody("fffffffffffffffff\r\n{}"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a chunk longer than it says", "chunk-too-long"],
    chunkedBody("1\r\n{}\r\n0\r\n\r\n"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["chunk extensions of 40 KiB", "chunk-extension-large"],
    chunkedBody(`2;${"x".repeat(40_960)}\r\n{}\r\n0\r\n\r\n`),
    /^HTTP\/1\.1 413 /,
  ),
  raw(
    ["trailers of 40 KiB", "chunk-trailer-large"],
    chunkedBody(`2\r\n{}\r\n0\r\nX: ${"x".repeat(40_960)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  ),
  raw(
    ["a body of 60,000 one-byte chunks", "body-one-byte-chunks"],
    oneByteChunks(),
    /^HTTP\/1\.1 200 /,
  ),
  raw(
    ["a body that never comes", "body-missing"],
    http1(`POST ${rpc.stream}`, {
      "Content-Type": "application/connect+proto",
      "Content-Length": "1000000",
    }),
    /^<silent>$/,
  ),
  raw(
    ["half an envelope and the end", "body-cut"],
    http1(
      `POST ${rpc.stream}`,
      { "Content-Type": "application/connect+proto" },
      envelope(asking("x"), 0, 5000),
    ),
    /invalid_argument/,
  ),
  raw(
    ["Expect: 100-continue and nothing", "expect-continue"],
    lines(
      `POST ${rpc.interrupt} HTTP/1.1`,
      "Host: localhost",
      "Expect: 100-continue",
      "Content-Length: 100",
      "Content-Type: application/json",
    ),
    /^HTTP\/1\.1 100 /,
  ),
  raw(
    ["Expect with nonsense", "expect-unknown"],
    lines("GET /health HTTP/1.1", "Host: localhost", "Expect: 200-maybe"),
    /^HTTP\/1\.1 417 /,
  ),
  raw(
    ["an upgrade to h2c", "upgrade-h2c"],
    lines(
      "GET /health HTTP/1.1",
      "Host: localhost",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    ),
    /^HTTP\/1\.1 200 /,
  ),
  raw(
    ["an upgrade to WebSocket that its door refuses", "upgrade-websocket"],
    lines(
      "GET /v1/speak?encoding=mp3 HTTP/1.1",
      "Host: localhost",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
    ),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["a TLS hello", "tls-hello"],
    Buffer.from("16030100a5010000a10303", "hex"),
    /^HTTP\/1\.1 400 /,
  ),
  raw(["an SSH greeting", "not-http"], "SSH-2.0-OpenSSH_9.6\r\n", /^HTTP\/1\.1 400 /),
  raw(
    ["256 random bytes", "not-http-binary"],
    Buffer.from(Array.from({ length: 256 }, (_, at) => (at * 167 + 13) % 256)),
    /^HTTP\/1\.1 400 /,
  ),
  raw(
    ["50 pipelined requests", "pipeline"],
    lines("GET /health HTTP/1.1", "Host: localhost").repeat(50),
    /^HTTP\/1\.1 200 /,
  ),
  raw(
    ["2 MB to a path that is not there", "body-unread"],
    http1("POST /nowhere", { "Content-Type": "text/plain" }, Buffer.alloc(2_000_000)),
    /^HTTP\/1\.1 404 /,
  ),
  raw(
    ["a preface cut in the middle", "preface-cut"],
    "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    /^HTTP\/1\.1 400 /,
  ),
];

function oneByteChunks(): string {
  const bytes = envelope(asking("x".repeat(60_000)));
  const head = http1(`POST ${rpc.stream}`, {
    "Transfer-Encoding": "chunked",
    "Content-Type": "application/connect+proto",
  });
  const pieces = Array.from(bytes, (byte) => `1\r\n${String.fromCharCode(byte)}\r\n`);
  return `${head.toString("latin1").replace(/Content-Length: \d+\r\n/, "")}${pieces.join("")}0\r\n\r\n`;
}
