import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  GrpcWebClientBase,
  MethodDescriptor,
  MethodType,
  type RpcError,
  StatusCode,
} from "grpc-web";
import {
  InterruptRequestSchema,
  InterruptResponseSchema,
  StreamRequestSchema,
  StreamResponseSchema,
} from "../../gen/streaming/streaming_pb.ts";
import { createChannel } from "../../server/core/async.ts";
import { CallFailed, type ClientUnderTest, type Step, toStep } from "./client.ts";

const SERVICE = "/streaming.StreamingService";

const streamAudio = method(
  `${SERVICE}/StreamAudio`,
  MethodType.SERVER_STREAMING,
  StreamRequestSchema,
  StreamResponseSchema,
);
const interruptSession = method(
  `${SERVICE}/InterruptSession`,
  MethodType.UNARY,
  InterruptRequestSchema,
  InterruptResponseSchema,
);

/**
 * Google's gRPC-Web client, for a browser or for Node with a stand-in for XMLHttpRequest. Its binary
 * form hands a stream over when it is whole, its text form as it comes.
 */
export const grpcWebClients: readonly ClientUnderTest[] = [
  { name: "grpc-web (Google), binary", collects: true, connect: connectWith("binary") },
  { name: "grpc-web (Google), text", connect: connectWith("text") },
];

function connectWith(format: "binary" | "text"): ClientUnderTest["connect"] {
  return ({ url }) => {
    const client = new GrpcWebClientBase({ format });
    return {
      async *turn({ prompt, deviceId, sessionId }, signal) {
        const fields = { prompt, hardwareId: deviceId, ...(sessionId && { sessionId }) };
        const request = create(StreamRequestSchema, fields);
        const steps = createChannel<Step>(Number.MAX_SAFE_INTEGER, signal);
        const call = client.serverStreaming(url + streamAudio.getName(), request, {}, streamAudio);
        call.on("data", (message) => void steps.push(toStep(message)));
        call.on("error", (error) => steps.close(toFailure(error)));
        call.on("end", () => steps.close());
        const cancel = () => call.cancel();
        signal.addEventListener("abort", cancel, { once: true });
        try {
          yield* steps;
        } finally {
          signal.removeEventListener("abort", cancel);
        }
      },
      interrupt(deviceId) {
        const request = create(InterruptRequestSchema, { hardwareId: deviceId });
        const path = url + interruptSession.getName();
        return client.unaryCall(path, request, {}, interruptSession);
      },
      [Symbol.dispose]: () => undefined,
    };
  };
}

function method<Input extends DescMessage, Output extends DescMessage>(
  name: string,
  type: string,
  input: Input,
  output: Output,
): MethodDescriptor<MessageShape<Input>, MessageShape<Output>> {
  return new MethodDescriptor(
    name,
    type,
    // Stands for the generated classes; the client does not look at them.
    Object as unknown as new () => MessageShape<Input>,
    Object as unknown as new () => MessageShape<Output>,
    (request: MessageShape<Input>) => toBinary(input, request),
    (bytes: Uint8Array) => fromBinary(output, bytes),
  );
}

function toFailure({ code, message, metadata }: RpcError): CallFailed {
  const [name = "unknown"] = Object.entries(StatusCode).find(([, value]) => value === code) ?? [];
  const spelling = name === "CANCELLED" ? "canceled" : name.toLowerCase();
  return new CallFailed(spelling, message, metadata["parley-reason"]);
}
