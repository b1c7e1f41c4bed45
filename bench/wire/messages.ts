import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StreamRequestSchema, StreamResponseSchema } from "../../gen/streaming/streaming_pb.ts";
import type { Step } from "../bare-server.ts";

/** The path of the RPC that the wire's servers answer. */
export const STREAM_AUDIO = "/streaming.StreamingService/StreamAudio";

/** An envelope's prefix: one byte of flags and four of length. */
export const PREFIX_BYTES = 5;

/** A message with its envelope, as gRPC sends it. */
function envelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** A response's message in its envelope. */
export function encodeStep(step: Step): Buffer {
  return envelope(toBinary(StreamResponseSchema, create(StreamResponseSchema, step)));
}

/** The one request of the wire's bench: its prompt is a turn's number. */
export function encodeRequest(turn: string, hardwareId: string): Buffer {
  const request = create(StreamRequestSchema, { prompt: turn, hardwareId });
  return envelope(toBinary(StreamRequestSchema, request));
}

/** The prompt of a request's body: one envelope. */
export function promptOf(body: Uint8Array): string {
  return fromBinary(StreamRequestSchema, body.subarray(PREFIX_BYTES)).prompt;
}
