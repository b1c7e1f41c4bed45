import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import type { HostileCase, Title } from "../attack.ts";
import { asking, bomb, envelope, field, http1, outcomes, rpc, varint } from "../wire.ts";

const { grpcOk, grpcInvalid, grpcUnimplemented, grpcExhausted } = outcomes;
const base = { ":path": rpc.stream, "content-type": "application/grpc", te: "trailers" };

type Extra = Readonly<Record<string, string>>;

/** A gRPC call over HTTP/2 with a body written out by hand. */
function grpc(
  [name, guard]: Title,
  body: Uint8Array,
  expected: RegExp,
  extra: Extra = {},
): HostileCase {
  const headers = { ...base, ...extra };
  return {
    name: `gRPC: ${name}`,
    guard: `grpc-${guard}`,
    attack: { kind: "h2", headers, body },
    expected,
  };
}

/** A gRPC-Web call. */
function web(
  [name, guard]: Title,
  body: Uint8Array | string,
  expected: RegExp,
  extra: Extra = {},
): HostileCase {
  const headers = { ":path": rpc.stream, "content-type": "application/grpc-web+proto", ...extra };
  return {
    name: `gRPC-Web: ${name}`,
    guard: `web-${guard}`,
    attack: { kind: "h2", headers, body },
    expected,
  };
}

/** A Connect call over HTTP/1.1. */
function connect([name, guard]: Title, request: Uint8Array, expected: RegExp): HostileCase {
  return {
    name: `Connect: ${name}`,
    guard: `connect-${guard}`,
    attack: { kind: "raw", bytes: request },
    expected,
  };
}

const unary = (path: string, type: string, body: Uint8Array | string, extra: Extra = {}) =>
  http1(`POST ${path}`, { "Content-Type": type, ...extra }, body);
const streamed = (body: Uint8Array, extra: Extra = {}) =>
  unary(rpc.stream, "application/connect+proto", body, extra);
const interrupt = field(1, "nobody");

/** 200,000 unknown fields of two bytes each. */
const unknownFields = Buffer.alloc(400_000, Buffer.concat([varint(2000 * 8), Buffer.from([1])]));
/** Groups inside groups. */
const deepGroups = Buffer.alloc(20_000, Buffer.from([0x83, 0x06]));

/** Envelopes, compression, framing and names of the three protocols. */
export const protocolCases: readonly HostileCase[] = [
  grpc(["no body", "empty"], Buffer.alloc(0), grpcUnimplemented),
  grpc(["an envelope cut in its head", "head-cut"], Buffer.from([0, 0, 0]), grpcInvalid),
  grpc(
    ["an envelope cut in its message", "message-cut"],
    envelope(asking("x"), 0, 4000),
    grpcInvalid,
  ),
  grpc(
    ["an envelope of 4 GiB", "length-4gib"],
    envelope(Buffer.alloc(0), 0, 0xffffffff),
    grpcExhausted,
  ),
  grpc(
    ["an envelope just over the largest", "length-over"],
    envelope(Buffer.alloc(0), 0, 52_428_801),
    grpcExhausted,
  ),
  grpc(["flags that do not exist", "flags"], envelope(asking("x"), 0xfe), grpcInvalid),
  grpc(
    ["compressed without saying how", "compressed-unnamed"],
    envelope(gzipSync(asking("x")), 1),
    grpcInvalid,
  ),
  grpc(
    ["two messages to a unary request", "two-messages"],
    Buffer.concat([envelope(asking("one")), envelope(asking("two"))]),
    grpcUnimplemented,
  ),
  grpc(["10,000 empty envelopes", "empty-envelopes"], Buffer.alloc(50_000), grpcUnimplemented),
  grpc(
    ["bytes that are no protobuf", "not-protobuf"],
    envelope(Buffer.from([0xff, 0xff, 0xff, 0xff])),
    grpcInvalid,
  ),
  grpc(
    ["a varint that does not end", "varint-endless"],
    envelope(Buffer.alloc(64, 0xff)),
    grpcInvalid,
  ),
  grpc(["a field of number 0", "field-zero"], envelope(Buffer.from([0x02, 0x00])), grpcInvalid),
  grpc(
    ["a field longer than the message", "field-overlong"],
    envelope(Buffer.from([0x0a, 0x7f, 0x61])),
    grpcInvalid,
  ),
  grpc(
    ["a wire type that does not exist", "wire-type"],
    envelope(Buffer.from([0x0f, 0x00])),
    grpcInvalid,
  ),
  grpc(
    ["a group that is not closed", "group-open"],
    envelope(Buffer.from([0x83, 0x06])),
    grpcInvalid,
  ),
  grpc(["groups 10,000 deep", "group-deep"], envelope(deepGroups), grpcInvalid),
  grpc(
    ["a wrong type for a known field", "field-type"],
    envelope(Buffer.concat([varint(8), varint(1)])),
    grpcInvalid,
  ),
  grpc(
    ["a prompt that is no UTF-8", "utf8"],
    envelope(Buffer.concat([field(1, Buffer.from([0xc3, 0x28, 0xff])), field(5, "d")])),
    grpcInvalid,
  ),
  grpc(
    ["200,000 unknown fields", "unknown-fields"],
    envelope(Buffer.concat([asking("x"), unknownFields])),
    grpcInvalid,
  ),
  grpc(
    ["200,000 unknown fields behind gzip", "unknown-fields-gzip"],
    envelope(gzipSync(Buffer.concat([asking("x"), unknownFields])), 1),
    grpcExhausted,
    { "grpc-encoding": "gzip" },
  ),
  grpc(
    ["a field told 30,000 times", "field-repeated"],
    envelope(Buffer.concat([Buffer.alloc(90_000, field(1, "x")), field(5, "d")])),
    grpcInvalid,
  ),
  grpc(["a gzip bomb of 100 MB", "bomb-gzip"], envelope(bomb(100_000_000), 1), grpcExhausted, {
    "grpc-encoding": "gzip",
  }),
  grpc(
    ["a gzip bomb of a prompt", "bomb-prompt"],
    envelope(gzipSync(asking("x".repeat(40_000_000))), 1),
    grpcExhausted,
    { "grpc-encoding": "gzip" },
  ),
  grpc(
    ["a gzip stream cut", "gzip-cut"],
    envelope(gzipSync(asking("hello there")).subarray(0, 20), 1),
    grpcInvalid,
    { "grpc-encoding": "gzip" },
  ),
  grpc(["no gzip where gzip is said", "gzip-not"], envelope(asking("x"), 1), grpcInvalid, {
    "grpc-encoding": "gzip",
  }),
  grpc(["gzip in gzip", "gzip-nested"], envelope(gzipSync(gzipSync(asking("x"))), 1), grpcInvalid, {
    "grpc-encoding": "gzip",
  }),
  grpc(
    ["gzip with bytes behind it", "gzip-trailing"],
    envelope(Buffer.concat([gzipSync(asking("x")), Buffer.alloc(100)]), 1),
    grpcOk,
    { "grpc-encoding": "gzip" },
  ),
  grpc(["brotli", "brotli"], envelope(brotliCompressSync(asking("x")), 1), grpcUnimplemented, {
    "grpc-encoding": "br",
  }),
  grpc(["deflate", "deflate"], envelope(deflateSync(asking("x")), 1), grpcUnimplemented, {
    "grpc-encoding": "deflate",
  }),
  grpc(
    ["an encoding with a line feed in its name", "encoding-name"],
    envelope(asking("x"), 1),
    grpcUnimplemented,
    { "grpc-encoding": "x".repeat(4000) },
  ),
  grpc(["a deadline that is no number", "timeout-garbage"], envelope(asking("x")), grpcInvalid, {
    "grpc-timeout": "soon",
  }),
  grpc(
    ["a deadline of 99,999,999 hours", "timeout-huge"],
    envelope(asking("x")),
    /grpc-status: 0/,
    { "grpc-timeout": "99999999H" },
  ),
  grpc(["a deadline of nothing", "timeout-zero"], envelope(asking("x")), /grpc-status: 4/, {
    "grpc-timeout": "0n",
  }),
  grpc(["a negative deadline", "timeout-negative"], envelope(asking("x")), grpcInvalid, {
    "grpc-timeout": "-5S",
  }),
  grpc(
    ["a method that does not exist", "method-unknown"],
    envelope(asking("x")),
    /:status: 200[\s\S]*grpc-status: 12/,
    { ":path": "/streaming.StreamingService/Nothing" },
  ),
  grpc(
    ["a service that does not exist", "service-unknown"],
    envelope(asking("x")),
    /:status: 200[\s\S]*grpc-status: 12/,
    { ":path": "/evil.Service/Do" },
  ),
  grpc(["GET", "get"], Buffer.alloc(0), /:status: 405\b/, { ":method": "GET" }),
  grpc(["a codec that does not exist", "codec"], envelope(asking("x")), /:status: 415\b/, {
    "content-type": "application/grpc+xml",
  }),
  grpc(["metadata that is no base64", "metadata-bin"], envelope(asking("x")), grpcOk, {
    "x-bin": "%%%",
  }),
  grpc(
    ["an interrupt of 1 MB", "cap-interrupt"],
    envelope(field(1, "d".repeat(1_000_000))),
    grpcExhausted,
    { ":path": rpc.interrupt },
  ),
  grpc(
    ["a welcome of 1 MB", "cap-welcome"],
    envelope(field(1, "w".repeat(1_000_000))),
    grpcExhausted,
    { ":path": rpc.welcome },
  ),
  grpc(
    ["a usage report of 1 MB", "cap-usage"],
    envelope(field(3, "s".repeat(1_000_000))),
    grpcExhausted,
    { ":path": rpc.usage },
  ),
  grpc(
    ["a health check of 1 MB", "cap-health"],
    envelope(field(1, "h".repeat(1_000_000))),
    grpcExhausted,
    { ":path": rpc.health },
  ),
  grpc(
    ["a health check of a service of 4,000 letters", "health-long"],
    envelope(field(1, "h".repeat(4000))),
    /grpc-status: 5\b/,
    { ":path": rpc.health },
  ),

  web(["no body", "empty"], Buffer.alloc(0), grpcUnimplemented),
  web(
    ["trailers in a request", "trailers"],
    Buffer.concat([envelope(asking("x")), envelope(Buffer.from("grpc-status: 0\r\n"), 0x80)]),
    grpcOk,
  ),
  web(["a message cut", "message-cut"], envelope(asking("x"), 0, 400), grpcInvalid),
  web(["a gzip bomb", "bomb"], envelope(bomb(100_000_000), 1), grpcExhausted, {
    "grpc-encoding": "gzip",
  }),
  web(
    ["a method that does not exist", "method-unknown"],
    envelope(asking("x")),
    /grpc-status: 12/,
    { ":path": "/streaming.StreamingService/Nothing" },
  ),
  web(["text that is no base64", "text-garbage"], "%%%%%%%%", grpcInvalid, {
    "content-type": "application/grpc-web-text",
  }),
  web(
    ["text cut inside a group", "text-cut"],
    envelope(asking("x")).toString("base64").slice(0, 9),
    grpcInvalid,
    { "content-type": "application/grpc-web-text" },
  ),
  web(
    ["text with padding in the middle", "text-padding"],
    `AAA=${envelope(asking("x")).toString("base64")}`,
    grpcExhausted,
    { "content-type": "application/grpc-web-text" },
  ),
  web(
    ["a media type that only begins like ours", "media-type"],
    envelope(asking("x")),
    /:status: 415/,
    { "content-type": "application/grpc-webx" },
  ),

  connect(
    ["unary JSON that is no JSON", "json-garbage"],
    unary(rpc.interrupt, "application/json", "{"),
    / 400 .*invalid_argument/s,
  ),
  connect(
    ["unary JSON that is an array", "json-array"],
    unary(rpc.interrupt, "application/json", "[]"),
    / 400 .*invalid_argument/s,
  ),
  connect(
    ["unary protobuf that is none", "not-protobuf"],
    unary(rpc.interrupt, "application/proto", Buffer.from([0xff])),
    / 400 .*invalid_argument/s,
  ),
  connect(
    ["a body of nothing", "empty"],
    unary(rpc.interrupt, "application/json", ""),
    / 400 .*invalid_argument/s,
  ),
  connect(
    ["a brotli body", "brotli"],
    unary(rpc.interrupt, "application/proto", brotliCompressSync(interrupt), {
      "Content-Encoding": "br",
    }),
    /^HTTP\/1\.1 501 /,
  ),
  connect(
    ["a gzip bomb", "bomb"],
    unary(rpc.interrupt, "application/proto", bomb(100_000_000), { "Content-Encoding": "gzip" }),
    /^HTTP\/1\.1 429 /,
  ),
  connect(
    ["a gzip body cut", "gzip-cut"],
    unary(rpc.interrupt, "application/proto", gzipSync(interrupt).subarray(0, 12), {
      "Content-Encoding": "gzip",
    }),
    /invalid_argument/,
  ),
  connect(
    ["an encoding that does not exist", "encoding-unknown"],
    unary(rpc.interrupt, "application/proto", interrupt, { "Content-Encoding": "rot13" }),
    /^HTTP\/1\.1 501 /,
  ),
  connect(
    ["a protocol version of the future", "version"],
    unary(rpc.interrupt, "application/json", '{"hardwareId":"d"}', {
      "Connect-Protocol-Version": "99",
    }),
    / 200 /,
  ),
  connect(
    ["a time-out that is no number", "timeout-garbage"],
    unary(rpc.interrupt, "application/json", '{"hardwareId":"d"}', {
      "Connect-Timeout-Ms": "soon",
    }),
    / 400 /,
  ),
  connect(
    ["a time-out of 300 years", "timeout-huge"],
    unary(rpc.interrupt, "application/json", '{"hardwareId":"d"}', {
      "Connect-Timeout-Ms": "9999999999",
    }),
    / 200 /,
  ),
  connect(
    ["a stream without an envelope", "stream-bare"],
    streamed(asking("x")),
    /"code":"invalid_argument"/,
  ),
  connect(
    ["a stream with an end flag first", "stream-end-flag"],
    streamed(envelope(Buffer.from("{}"), 2)),
    /"code":"unimplemented"/,
  ),
  connect(
    ["a stream compressed without a name", "stream-compressed"],
    streamed(envelope(gzipSync(asking("x")), 1)),
    /"code":"invalid_argument"/,
  ),
  connect(
    ["a stream with a brotli name", "stream-brotli"],
    streamed(envelope(brotliCompressSync(asking("x")), 1), { "Connect-Content-Encoding": "br" }),
    /unimplemented/,
  ),
  connect(
    ["a stream's gzip bomb", "stream-bomb"],
    streamed(envelope(bomb(100_000_000), 1), { "Connect-Content-Encoding": "gzip" }),
    /"code":"resource_exhausted"/,
  ),
  connect(
    ["an unknown method", "method-unknown"],
    unary("/streaming.StreamingService/Nothing", "application/json", "{}"),
    /^HTTP\/1\.1 404 /,
  ),
  connect(
    ["PUT", "method-put"],
    http1(`PUT ${rpc.interrupt}`, { "Content-Type": "application/json" }, "{}"),
    / 405 [\s\S]*allow/i,
  ),
  connect(
    ["a media type that only begins like ours", "media-type"],
    unary(rpc.interrupt, "application/jsonx", "{}"),
    / 415 /,
  ),
  connect(
    ["a media type in capitals", "media-type-case"],
    unary(rpc.interrupt, "APPLICATION/JSON", '{"hardwareId":"d"}'),
    / 200 /,
  ),
  connect(
    ["a form", "media-type-form"],
    unary(rpc.interrupt, "application/x-www-form-urlencoded", "hardwareId=d"),
    / 415 /,
  ),
  connect(
    ["plain text, as any page may send", "media-type-text"],
    unary(rpc.interrupt, "text/plain", '{"hardwareId":"d"}'),
    / 415 /,
  ),
  connect(
    ["no media type", "media-type-missing"],
    http1(`POST ${rpc.interrupt}`, {}, "{}"),
    / 415 /,
  ),
];
