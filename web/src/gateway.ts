import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { type AudioChunk, StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { hasToken, sendToken, withToken } from "./token.ts";
import type { WordTiming } from "./words.ts";

/** The wire between the page and the gateway. */
export type Protocol = "grpc-web" | "connect";

/** What the user asks for: an answer, or a text that is spoken as it stands. */
export type Ask =
  | { readonly type: "prompt"; readonly prompt: string; readonly screenshot?: string }
  | { readonly type: "greeting"; readonly text: string };

/**
 * A step of the reply. The words of `audio` are those whose timing became known with it, in order:
 * of the text that came last, each once. `trouble` is the gateway's own word on a failure; an
 * error follows it.
 */
export type ReplyEvent =
  | { readonly type: "text"; readonly text: string }
  | ReplyAudio
  | { readonly type: "trouble"; readonly message: string };

/** A slice of the voice, at 48 kHz. */
export type ReplyAudio = {
  readonly type: "audio";
  readonly pcm: Int16Array<ArrayBuffer>;
  readonly words: readonly WordTiming[];
};

/** Who asks: the device, and the conversation that this page is. */
export type Caller = { readonly hardwareId: string; readonly sessionId: string };

/** Streams the reply. Throws a ConnectError, also when the signal fires; that cancels the call. */
export function openReply(
  ask: Ask,
  how: { protocol: Protocol; caller: Caller },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  return withToken(() => openOnce(ask, how, signal), signal);
}

async function* openOnce(
  ask: Ask,
  how: { protocol: Protocol; caller: Caller },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  const client = createClient(StreamingService, transport(how.protocol));
  yield* ask.type === "prompt"
    ? answer(client, { ...ask, ...how.caller }, signal)
    : greet(client, { text: ask.text, sessionId: how.caller.sessionId }, signal);
}

type StreamingClient = Client<typeof StreamingService>;

function transport(protocol: Protocol) {
  const options = {
    baseUrl: location.origin,
    useBinaryFormat: true,
    interceptors: [sendToken],
  };
  return protocol === "connect" ? createConnectTransport(options) : createGrpcWebTransport(options);
}

async function* answer(
  client: StreamingClient,
  ask: Caller & { prompt: string; screenshot?: string },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  const { prompt, screenshot, sessionId } = ask;
  const hardwareId = hasToken() ? "" : ask.hardwareId;
  const picture = screenshot
    ? { screenshot, screenWidth: screen.width, screenHeight: screen.height }
    : {};
  const request = { prompt, hardwareId, sessionId, ...picture };
  for await (const { content } of client.streamAudio(request, { signal })) {
    if (content.case === "textChunk") yield { type: "text", text: content.value };
    else if (content.case === "audioChunk") yield audio(content.value);
    else if (content.case === "errorMessage") yield { type: "trouble", message: content.value };
  }
}

// The gateway does not send a greeting's text back: it is what was asked for.
async function* greet(
  client: StreamingClient,
  request: { text: string; sessionId: string },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  let told = false;
  for await (const { content } of client.generateWelcomeAudio(request, { signal })) {
    if (content.case === "audioChunk") {
      if (!told) yield { type: "text", text: request.text };
      told = true;
      yield audio(content.value);
    } else if (content.case === "errorMessage") yield { type: "trouble", message: content.value };
  }
}

function audio({ audioData, words }: AudioChunk): ReplyAudio {
  return {
    type: "audio",
    // A copy, for the bytes of a message may begin at an odd place. Every browser is little-endian.
    pcm: new Int16Array(audioData.slice().buffer),
    words: words.map(({ word, startSample, endSample }) => ({
      word,
      startSample: Number(startSample),
      endSample: Number(endSample),
    })),
  };
}
