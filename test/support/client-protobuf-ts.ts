import { fromBinary } from "@bufbuild/protobuf";
import { GrpcWebFetchTransport } from "@protobuf-ts/grpcweb-transport";
import { MessageType, ScalarType } from "@protobuf-ts/runtime";
import { type RpcError, ServiceType } from "@protobuf-ts/runtime-rpc";
import { StreamResponseSchema } from "../../gen/streaming/streaming_pb.ts";
import { CallFailed, type ClientUnderTest, toStep } from "./client.ts";

type Fields = { readonly [name: string]: string };

const request = (name: string, fields: readonly (readonly [number, string])[]) =>
  new MessageType<Fields>(
    `streaming.${name}`,
    fields.map(([no, field]) => ({ no, name: field, kind: "scalar", T: ScalarType.STRING })),
  );
const StreamRequest = request("StreamRequest", [
  [1, "prompt"],
  [5, "hardware_id"],
  [6, "session_id"],
]);
const InterruptRequest = request("InterruptRequest", [[1, "hardware_id"]]);

/** Every field of a reply is left to the suite's own reader: the library keeps its bytes. */
class StreamResponse extends MessageType<{ bytes: Uint8Array }> {
  override fromBinary(bytes: Uint8Array): { bytes: Uint8Array } {
    return { bytes: bytes.slice() };
  }
}

type InterruptResponse = {
  readonly success: boolean;
  readonly interruptedSessions: readonly string[];
};
const InterruptResponse = new MessageType<InterruptResponse>("streaming.InterruptResponse", [
  { no: 1, name: "success", kind: "scalar", T: ScalarType.BOOL },
  { no: 2, name: "interrupted_sessions", kind: "scalar", T: ScalarType.STRING, repeat: 2 },
  { no: 3, name: "message", kind: "scalar", T: ScalarType.STRING },
]);

const service = new ServiceType("streaming.StreamingService", [
  {
    name: "StreamAudio",
    serverStreaming: true,
    I: StreamRequest,
    O: new StreamResponse("streaming.StreamResponse", []),
    options: {},
  },
  { name: "InterruptSession", I: InterruptRequest, O: InterruptResponse, options: {} },
]);

/** protobuf-ts' gRPC-Web client, over `fetch`; text is what it takes by default. */
export const protobufTsClients: readonly ClientUnderTest[] = [
  { name: "protobuf-ts, gRPC-Web, text", connect: connectWith("text") },
  { name: "protobuf-ts, gRPC-Web, binary", connect: connectWith("binary") },
];

function connectWith(format: "text" | "binary"): ClientUnderTest["connect"] {
  return ({ url }) => {
    const transport = new GrpcWebFetchTransport({ baseUrl: url, format });
    const [streamAudio, interruptSession] = service.methods;
    if (!streamAudio || !interruptSession) throw new Error("the service lost its methods");
    return {
      async *turn({ prompt, deviceId, sessionId = "" }, signal) {
        const fields = { prompt, hardwareId: deviceId, sessionId };
        const options = transport.mergeOptions({ abort: signal });
        const call = transport.serverStreaming<Fields, { bytes: Uint8Array }>(
          streamAudio,
          fields,
          options,
        );
        // They reject as well when the call fails, which is told once.
        for (const rest of [call.headers, call.status, call.trailers]) rest.catch(() => undefined);
        try {
          for await (const { bytes } of call.responses) {
            yield toStep(fromBinary(StreamResponseSchema, bytes));
          }
        } catch (error) {
          throw toFailure(error as RpcError);
        }
      },
      async interrupt(deviceId) {
        const call = transport.unary<Fields, InterruptResponse>(
          interruptSession,
          { hardwareId: deviceId },
          transport.mergeOptions(),
        );
        return await call.response;
      },
      [Symbol.dispose]: () => undefined,
    };
  };
}

function toFailure({ code, message, meta }: RpcError): CallFailed {
  const spelling = code === "CANCELLED" ? "canceled" : code.toLowerCase();
  // The library leaves the message as it came over the wire.
  return new CallFailed(spelling, decodeURIComponent(message), meta["parley-reason"]?.toString());
}
