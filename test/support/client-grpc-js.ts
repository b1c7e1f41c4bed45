import { fileURLToPath } from "node:url";
import {
  type ChannelOptions,
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { CallFailed, type ClientUnderTest, type Step } from "./client.ts";

type PlainMessage = {
  readonly textChunk?: string;
  readonly audioChunk?: {
    readonly audioData: Buffer;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly sampleRate: number;
    readonly channels: number;
  };
  readonly endMessage?: string;
  readonly errorMessage?: string;
};

type PlainInterrupt = { readonly success: boolean; readonly interruptedSessions: string[] };

type StreamingClient = Client & {
  streamAudio(request: object): ClientReadableStream<PlainMessage>;
  interruptSession(
    request: object,
    done: (error: ServiceError | null, response: PlainInterrupt) => void,
  ): void;
};

type ClientClass = new (address: string, secrets: object, options: ChannelOptions) => Client;

const PROTO = fileURLToPath(new URL("../../proto/streaming/streaming.proto", import.meta.url));

// What the existing native client sets on its channel.
const channel = {
  "grpc.max_receive_message_length": 50 * 1024 * 1024,
  "grpc.keepalive_time_ms": 60_000,
};

/** @grpc/grpc-js with the contract loaded at run time: messages are plain objects. */
export const grpcJsClient: ClientUnderTest = {
  name: "@grpc/grpc-js",
  connect(gateway) {
    const client = open(`127.0.0.1:${gateway.grpcPort}`);
    return {
      async *turn({ prompt, deviceId, sessionId }, signal) {
        const call = client.streamAudio({ prompt, hardwareId: deviceId, sessionId });
        const cancel = () => call.cancel();
        signal.addEventListener("abort", cancel, { once: true });
        try {
          for await (const message of call) yield toStep(message as PlainMessage);
        } catch (error) {
          throw toFailure(error as ServiceError);
        } finally {
          signal.removeEventListener("abort", cancel);
        }
      },
      interrupt: (deviceId) =>
        new Promise((resolve, reject) => {
          client.interruptSession({ hardwareId: deviceId }, (error, response) =>
            error ? reject(toFailure(error)) : resolve(response),
          );
        }),
      [Symbol.dispose]: () => client.close(),
    };
  },
};

function open(address: string): StreamingClient {
  const definition = loadSync(PROTO, { keepCase: false, longs: Number });
  const { streaming } = loadPackageDefinition(definition) as unknown as {
    readonly streaming: { readonly StreamingService: ClientClass };
  };
  const client = new streaming.StreamingService(address, credentials.createInsecure(), channel);
  return client as StreamingClient;
}

function toStep({ textChunk, audioChunk, endMessage, errorMessage }: PlainMessage): Step {
  if (textChunk) return { type: "text", text: textChunk };
  if (audioChunk) {
    const { audioData: bytes, dtype, shape, sampleRate, channels } = audioChunk;
    return { type: "audio", chunk: { bytes, dtype, shape, sampleRate, channels } };
  }
  if (endMessage) return { type: "end", message: endMessage };
  return { type: "error", message: errorMessage ?? "" };
}

function toFailure({ code, details, metadata }: ServiceError): CallFailed {
  const name = status[code] === "CANCELLED" ? "canceled" : status[code].toLowerCase();
  return new CallFailed(name, details, metadata.get("parley-reason")[0]?.toString());
}
