import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  type AudioChunk,
  type Source,
  SourceKind,
  StreamingService,
  type StreamResponse,
} from "../../gen/streaming/streaming_pb.ts";
import { hasToken, sendToken, withToken } from "./token.ts";
import type { WordTiming } from "./words.ts";

/** The wire between the page and the gateway. */
export type Protocol = "grpc-web" | "connect";

/** What the user asks for: an answer, or a text that is spoken as it stands. */
export type Ask =
  | { readonly type: "prompt"; readonly prompt: string; readonly screenshot?: string }
  | { readonly type: "greeting"; readonly text: string };

/**
 * A step of the reply.
 * - `begin`: the turn's names. Comes before any content.
 * - `source`: who writes or speaks from here on.
 * - `audio`: its words are those whose timing became known with it, in order: of the text that came
 *   last, each once.
 * - `trouble`: the gateway's own word on a failure; an error follows it.
 * - `end`: the reply is whole, or as whole as any tier could make it (`partial`).
 */
export type ReplyEvent =
  | { readonly type: "begin"; readonly turnId: string; readonly sessionId: string }
  | ({ readonly type: "source" } & ReplySource)
  | { readonly type: "text"; readonly text: string }
  | ReplyAudio
  | { readonly type: "trouble"; readonly message: string }
  | { readonly type: "end"; readonly message: string; readonly partial: boolean };

/** Who makes the words or the sound, and after whom it took over. */
export type ReplySource = {
  readonly kind: "text" | "speech";
  readonly tier: string;
  /** Empty where no tier failed before it. */
  readonly from: string;
  readonly reason: string;
};

/** A slice of the voice, at 48 kHz. */
export type ReplyAudio = {
  readonly type: "audio";
  readonly pcm: Int16Array<ArrayBuffer>;
  readonly words: readonly WordTiming[];
};

/** Who asks: the device, the conversation that this page is, and the voice that it wants. */
export type Caller = {
  readonly hardwareId: string;
  readonly sessionId: string;
  readonly voice?: string;
};

/** Streams the reply. Throws a ConnectError, also when the signal fires; that cancels the call. */
export function openReply(
  ask: Ask,
  how: { protocol: Protocol; caller: Caller; turnId: string },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  return withToken(() => openOnce(ask, how, signal), signal);
}

async function* openOnce(
  ask: Ask,
  how: { protocol: Protocol; caller: Caller; turnId: string },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  const client = createClient(StreamingService, transport(how.protocol));
  const { caller, turnId } = how;
  yield* ask.type === "prompt"
    ? answer(client, { ...ask, ...caller, turnId }, signal)
    : greet(client, { text: ask.text, ...caller }, signal);
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
  ask: Caller & { prompt: string; screenshot?: string; turnId: string },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  const { prompt, screenshot, sessionId, voice = "", turnId } = ask;
  const hardwareId = hasToken() ? "" : ask.hardwareId;
  const picture = screenshot
    ? { screenshot, screenWidth: screen.width, screenHeight: screen.height }
    : {};
  const request = { prompt, hardwareId, sessionId, voice, turnId, ...picture };
  for await (const response of client.streamAudio(request, { signal })) yield* stepsOf(response);
}

function* stepsOf(response: StreamResponse): Generator<ReplyEvent> {
  const { content, turnId, sessionId, source, partial } = response;
  if (turnId) yield { type: "begin", turnId, sessionId };
  if (source) yield { type: "source", ...sourceOf(source) };
  if (content.case === "textChunk") yield { type: "text", text: content.value };
  else if (content.case === "audioChunk") yield audio(content.value);
  else if (content.case === "errorMessage") yield { type: "trouble", message: content.value };
  else if (content.case === "endMessage") yield { type: "end", message: content.value, partial };
}

// The gateway does not send a greeting's text back: it is what was asked for.
async function* greet(
  client: StreamingClient,
  request: { text: string; sessionId: string; voice?: string },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  let told = false;
  for await (const { content } of client.generateWelcomeAudio(request, { signal })) {
    if (content.case === "audioChunk") {
      if (!told) yield { type: "text", text: request.text };
      told = true;
      yield audio(content.value);
    } else if (content.case === "errorMessage") yield { type: "trouble", message: content.value };
    else if (content.case === "endMessage") {
      yield { type: "end", message: content.value, partial: false };
    }
  }
}

function sourceOf({ kind, tier, from, reason }: Source): ReplySource {
  return { kind: kind === SourceKind.TEXT ? "text" : "speech", tier, from, reason };
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
