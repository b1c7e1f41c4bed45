import { gzipSync } from "node:zlib";

/** A field of a protobuf message: a varint, or bytes with their length. */
export function field(number: number, value: number | string | Uint8Array): Buffer {
  if (typeof value === "number") return Buffer.concat([varint(number * 8), varint(value)]);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

/** A whole number as protobuf writes it. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

/** A message in the envelope of gRPC, gRPC-Web and Connect streams. */
export function envelope(message: Uint8Array, flags = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** A well-formed StreamRequest. */
export function asking(prompt: string, device = "hostile"): Buffer {
  return Buffer.concat([field(1, prompt), field(5, device)]);
}

/** An HTTP/1.1 request with a right length, unless its headers say otherwise. */
export function http1(
  line: string,
  headers: Readonly<Record<string, string>> = {},
  body: Uint8Array | string = "",
): Buffer {
  const bytes = Buffer.from(body as string);
  const all = { Host: "localhost", "Content-Length": String(bytes.length), ...headers };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${line} HTTP/1.1\r\n${head.join("")}\r\n`, "latin1"), bytes]);
}

/** Bytes that inflate to `size` zeros, or to `filler` again and again. */
export function bomb(size: number, filler: Uint8Array = Buffer.alloc(1)): Buffer {
  return gzipSync(Buffer.alloc(size, filler));
}

/** Paths of the RPCs. */
export const rpc = {
  stream: "/streaming.StreamingService/StreamAudio",
  interrupt: "/streaming.StreamingService/InterruptSession",
  welcome: "/streaming.StreamingService/GenerateWelcomeAudio",
  usage: "/streaming.StreamingService/ReportUsage",
  health: "/grpc.health.v1.Health/Check",
} as const;

/** Outcomes that many cases share. */
export const outcomes = {
  /** A refusal over HTTP/1.1 or Connect's unary form. */
  badRequest: /^HTTP\/1\.1 400 /,
  closed: /<closed/,
  grpcInvalid: /grpc-status: 3\b/,
  grpcExhausted: /grpc-status: 8\b/,
  grpcUnimplemented: /grpc-status: 12\b/,
  grpcOk: /grpc-status: 0\b/,
} as const;
