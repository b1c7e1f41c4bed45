import { toBinary } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  StreamingService,
  type StreamResponse,
  StreamResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";

/** A client of the gateway at this address. */
export function openClient(baseUrl: string, createTransport = createGrpc) {
  return createClient(StreamingService, createTransport(baseUrl));
}

/** A gRPC transport to a gateway. */
export const createGrpc = (baseUrl: string) => createGrpcTransport({ baseUrl });

/** The message, but for the ids that differ from turn to turn. */
export function bytesOfMessage(message: StreamResponse): string {
  const ids = { turnId: message.turnId && "id", sessionId: message.sessionId && "id" };
  return Buffer.from(toBinary(StreamResponseSchema, { ...message, ...ids })).toString("base64");
}

/** How the call failed. Throws if it did not. */
export async function failureOf(stream: AsyncIterable<unknown>): Promise<ConnectError> {
  try {
    await Array.fromAsync(stream);
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call did not fail");
}
