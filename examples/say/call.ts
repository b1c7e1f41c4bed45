import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { CommandLine, Protocol } from "./command-line.ts";

/** A step of the reply: a piece of its text, or of its audio (48 kHz mono s16le). */
export type ReplyStep =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "audio"; readonly bytes: Uint8Array };

/**
 * Asks the gateway and yields the reply as it arrives. Throws a `ConnectError` if the call fails,
 * also when the signal fires. The call ends when the reader leaves.
 */
export async function* openReply(
  command: CommandLine,
  signal: AbortSignal,
): AsyncGenerator<ReplyStep> {
  // Leaving a `for await` does not cancel an RPC. Aborting its signal does.
  const left = new AbortController();
  const call = { signal: AbortSignal.any([signal, left.signal]) };
  try {
    yield* command.greeting ? greet(command, call) : answer(command, call);
  } finally {
    left.abort();
  }
}

type Call = { readonly signal: AbortSignal };

async function* answer(command: CommandLine, call: Call): AsyncGenerator<ReplyStep> {
  const client = createClient(StreamingService, openTransport(command.protocol, command.to));
  const request = { prompt: command.text, hardwareId: command.device };
  for await (const { content } of client.streamAudio(request, call)) {
    if (content.case === "textChunk") yield { type: "text", text: content.value };
    if (content.case === "audioChunk") yield { type: "audio", bytes: content.value.audioData };
  }
}

async function* greet(command: CommandLine, call: Call): AsyncGenerator<ReplyStep> {
  const client = createClient(StreamingService, openTransport(command.protocol, command.to));
  const request = { text: command.text, ...(command.voice && { voice: command.voice }) };
  // The gateway does not send a greeting's text back: it is what was asked for.
  yield { type: "text", text: command.text };
  for await (const { content } of client.generateWelcomeAudio(request, call)) {
    if (content.case === "audioChunk") yield { type: "audio", bytes: content.value.audioData };
  }
}

function openTransport(protocol: Protocol, baseUrl: string): Transport {
  switch (protocol) {
    case "grpc":
      return createGrpcTransport({ baseUrl });
    case "grpc-web":
      return createGrpcWebTransport({ baseUrl, httpVersion: "1.1" });
    case "connect":
      return createConnectTransport({ baseUrl, httpVersion: "1.1" });
  }
}
