import { create, toBinary } from "@bufbuild/protobuf";
import { StreamRequestSchema } from "../../gen/streaming/streaming_pb.ts";

/** A StreamRequest in its envelope. */
export function encodeStreamRequest(prompt: string): Buffer {
  const message = toBinary(
    StreamRequestSchema,
    create(StreamRequestSchema, { prompt, hardwareId: "device-1" }),
  );
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
