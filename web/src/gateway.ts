import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  type AudioChunk,
  AudioChunkSchema,
  type Source,
  SourceKind,
  StreamingService,
  StreamRequestSchema,
  type StreamResponse,
} from "../../gen/streaming/streaming_pb.ts";
import { streamThrough } from "./lost-connection.ts";
import { canDecodeOpus, OpusDecoder } from "./opus.ts";
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

/** How it is asked. */
export type How = {
  readonly protocol: Protocol;
  readonly caller: Caller;
  readonly turnId: string;
  /** The sound comes compressed, where the contract knows that and the browser decodes it. */
  readonly compressed: boolean;
};

/** Streams the reply. Throws a ConnectError, also when the signal fires; that cancels the call. */
export function openReply(ask: Ask, how: How, signal: AbortSignal): AsyncGenerator<ReplyEvent> {
  return withToken(() => openOnce(ask, how, signal), signal);
}

async function* openOnce(ask: Ask, how: How, signal: AbortSignal): AsyncGenerator<ReplyEvent> {
  const client = createClient(StreamingService, transport(how.protocol));
  const { caller, turnId, compressed } = how;
  yield* ask.type === "prompt"
    ? answer(client, { ...ask, ...caller, turnId, compressed }, signal)
    : greet(client, { text: ask.text, ...caller }, signal);
}

type StreamingClient = Client<typeof StreamingService>;

function transport(protocol: Protocol) {
  const options = {
    baseUrl: location.origin,
    useBinaryFormat: true,
    interceptors: [sendToken],
    fetch: sendThrough,
  };
  return protocol === "connect" ? createConnectTransport(options) : createGrpcWebTransport(options);
}

/** An interrupt is sent also if the page goes. */
function sendThrough(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const isInterrupt = String(input).endsWith("/InterruptSession");
  return fetch(input, isInterrupt ? { ...init, keepalive: true } : init);
}

/**
 * The gateway keeps back what would be heard later than so: while it still sends, an interrupt from
 * elsewhere ends the stream, and the page falls silent with it.
 */
export const heldAheadMs = 3000;

async function* answer(
  client: StreamingClient,
  ask: Caller & { prompt: string; screenshot?: string; turnId: string; compressed: boolean },
  signal: AbortSignal,
): AsyncGenerator<ReplyEvent> {
  const { prompt, screenshot, sessionId, voice = "", turnId, compressed } = ask;
  const hardwareId = hasToken() ? "" : ask.hardwareId;
  const picture = screenshot
    ? { screenshot, screenWidth: screen.width, screenHeight: screen.height }
    : {};
  const format = compressed && formatField ? { [formatField]: opusFormat } : {};
  const request = {
    ...{ prompt, hardwareId, sessionId, voice, turnId, leadMs: heldAheadMs },
    ...{ ...picture, ...format },
  };
  const decoder = compressed && formatField ? new OpusDecoder() : undefined;
  try {
    for await (const response of streamThrough(client, request, signal)) {
      yield* stepsOf(response, decoder);
    }
  } finally {
    decoder?.close();
  }
}

/** `audio_format` of a request and `format` of a chunk, by the contract's numbers: absent in older ones. */
const formatField = StreamRequestSchema.fields.find(({ number }) => number === 22)?.localName;
const chunkFormatField = AudioChunkSchema.fields.find(({ number }) => number === 17)?.localName;
const opusFormat = 1;

/** Whether compressed sound can be asked for and heard. */
export function canCompress(): boolean {
  return formatField !== undefined && canDecodeOpus();
}

async function* stepsOf(
  response: StreamResponse,
  decoder: OpusDecoder | undefined,
): AsyncGenerator<ReplyEvent> {
  const { content, turnId, sessionId, source, partial } = response;
  if (turnId) yield { type: "begin", turnId, sessionId };
  if (source) yield { type: "source", ...sourceOf(source) };
  if (content.case === "textChunk") yield { type: "text", text: content.value };
  else if (content.case === "audioChunk") yield await soundOf(content.value, decoder);
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

/** One Opus packet a chunk, or PCM: a gateway may answer with what was not asked for. */
async function soundOf(chunk: AudioChunk, decoder: OpusDecoder | undefined): Promise<ReplyAudio> {
  const fields = chunk as unknown as Record<string, unknown>;
  const isOpus = chunkFormatField !== undefined && fields[chunkFormatField] === opusFormat;
  const sound = audio(chunk);
  if (!isOpus || !decoder) return sound;
  return { ...sound, pcm: await decoder.decode(chunk.audioData, chunk.shape[0]) };
}

function audio({ audioData, words }: AudioChunk): ReplyAudio {
  return {
    type: "audio",
    // A copy, for the bytes of a message may begin at an odd place. Every browser is little-endian.
    pcm: new Int16Array(audioData.slice(0, audioData.length & ~1).buffer),
    words: words.map(({ word, startSample, endSample }) => ({
      word,
      startSample: Number(startSample),
      endSample: Number(endSample),
    })),
  };
}
