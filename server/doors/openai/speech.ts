import type { Context } from "hono";
import { z } from "zod";
import { signalOf } from "../../auth/caller.ts";
import type { TurnChunk } from "../../conversation/reply.ts";
import { parseWelcome } from "../../conversation/turn-request.ts";
import { onAbort } from "../../core/async.ts";
import { outputRateHz } from "../../core/audio/pcm.ts";
import { createTempoChanger, type TempoChanger } from "../../core/audio/tempo.ts";
import { connectionOf, streamBody } from "../../core/http.ts";
import type { AudioEncoder } from "../audio-encoder.ts";
import {
  type AudioFormatName,
  audioFormats,
  type EncoderUse,
  findAudioFormats,
  openEncoder,
} from "../audio-formats.ts";
import { type DoorParts, type NodeEnv, turnOfCaller } from "../door.ts";
import { invalidField, toOpenaiError } from "./errors.ts";
import { checkFields, type JsonReader } from "./request.ts";
import { tokensOfSound, tokensOfText } from "./usage.ts";
import type { VoiceRule } from "./voices.ts";

const MAX_INSTRUCTIONS = 4096;
/** A character takes at most six bytes in JSON where it is escaped, and two such where it is a pair. */
const BYTES_A_CHARACTER = 12;

const speechFields = z.looseObject({
  model: z.string().min(1).max(256),
  input: z.string(),
  // OpenAI's own voices, or the id of one that was made with its API.
  voice: z.union([z.string().min(1), z.object({ id: z.string().min(1) })]).optional(),
  instructions: z.string().max(MAX_INSTRUCTIONS).nullish(),
  response_format: z.string().nullish(),
  speed: z.number().min(0.25).max(4).nullish(),
  stream_format: z.enum(["audio", "sse"]).nullish(),
});

type SpeechRequest = {
  readonly input: string;
  readonly voice: string | undefined;
  readonly format: AudioFormatName;
  readonly speed: number;
  readonly isEvents: boolean;
};

/** What speaks. */
export type SpeechParts = Pick<
  DoorParts,
  "conversation" | "callers" | "encoders" | "maxInputCharacters"
> & {
  readonly voiceOf: VoiceRule;
  readonly readJson: JsonReader;
};

/**
 * `POST /v1/audio/speech`: the input, spoken as it stands, while it is made. A failure after the first byte
 * closes the connection, or is an `error` event with `stream_format` "sse".
 */
export async function speak(context: Context<NodeEnv>, parts: SpeechParts): Promise<Response> {
  const { conversation, maxInputCharacters } = parts;
  const body = await parts.readJson(context, maxInputCharacters * BYTES_A_CHARACTER + 16_384);
  const request = readSpeech(body, maxInputCharacters);
  const left = new AbortController();
  const caller = parts.callers.callerOf(context.env.incoming);
  const signal = AbortSignal.any([signalOf(caller, context.req.raw.signal), left.signal]);
  const encoder = await openFormat(request.format, { encoders: parts.encoders, signal });
  const turn = {
    ...parseWelcome({ text: request.input, voice: parts.voiceOf(request.voice) }),
    connection: connectionOf(context.env.incoming),
    ...turnOfCaller(caller),
  };
  // A client that has left may keep the body's reader waiting for ever.
  onAbort(signal, () => encoder.close?.());
  const tempo = createTempoChanger(outputRateHz, request.speed);
  const sound = encode(conversation.talk(turn, signal), { tempo, encoder });
  const bytes = request.isEvents ? toEvents(sound, request.input) : toBytes(sound);
  const first = await bytes.next();
  const stream = streamBody(startingWith(first, bytes), {
    onLeave: () => left.abort(),
    onFailure: () => context.env.outgoing.destroy(new Error("the turn failed")),
  });
  const { contentType } = audioFormats[request.format];
  const type = request.isEvents ? "text/event-stream; charset=utf-8" : contentType;
  return new Response(stream, { headers: { "content-type": type, "cache-control": "no-store" } });
}

function readSpeech(body: unknown, maxInputCharacters: number): SpeechRequest {
  const fields = checkFields(speechFields, body);
  const { input, voice, response_format: format } = fields;
  if (input.trim() === "") throw invalidField("input", "is required and must not be blank");
  if ([...input].length > maxInputCharacters) {
    const rule = `must be at most ${maxInputCharacters} characters`;
    throw invalidField("input", rule, "string_above_max_length");
  }
  return {
    input,
    voice: typeof voice === "object" ? voice.id : voice,
    format: (format ?? "mp3") as AudioFormatName,
    speed: fields.speed ?? 1,
    isEvents: fields.stream_format === "sse",
  };
}

/** Throws `OpenaiProblem` with the formats that are there, if this one is not. */
async function openFormat(name: AudioFormatName, use: EncoderUse): Promise<AudioEncoder> {
  const encoder = Object.hasOwn(audioFormats, name)
    ? await openEncoder(audioFormats[name], use)
    : undefined;
  if (encoder) return encoder;
  const there = (await findAudioFormats(use)).join(", ");
  throw invalidField(
    "response_format",
    `must be one of ${there} on this gateway`,
    "unsupported_value",
  );
}

/** Sound of a turn: encoded bytes, perhaps none, and how long it plays. */
type Sound = { readonly bytes: Uint8Array; readonly ms: number };

async function* encode(
  batches: AsyncGenerator<readonly TurnChunk[]>,
  { tempo, encoder }: { readonly tempo: TempoChanger; readonly encoder: AudioEncoder },
): AsyncGenerator<Sound> {
  const soundOf = async (pcm: Int16Array) => ({
    bytes: await encoder.push(pcm),
    ms: (pcm.length * 1000) / outputRateHz,
  });
  try {
    for await (const batch of batches) {
      for (const chunk of batch) {
        if (chunk.type === "audio") yield await soundOf(tempo.push(chunk.pcm));
      }
    }
    yield await soundOf(tempo.flush());
    yield { bytes: await encoder.end(), ms: 0 };
  } finally {
    encoder.close?.();
  }
}

async function* toBytes(sound: AsyncGenerator<Sound>): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of sound) yield bytes;
}

/** `speech.audio.delta`s, then `speech.audio.done`, or an `error` in its place. */
async function* toEvents(sound: AsyncGenerator<Sound>, input: string): AsyncGenerator<Uint8Array> {
  let totalMs = 0;
  let hasBegun = false;
  try {
    for await (const { bytes, ms } of sound) {
      totalMs += ms;
      if (bytes.length === 0) continue;
      hasBegun = true;
      yield event({ type: "speech.audio.delta", audio: Buffer.from(bytes).toString("base64") });
    }
  } catch (error) {
    if (!hasBegun) throw error;
    yield event({ type: "error", error: toOpenaiError(error).error });
    return;
  }
  const input_tokens = tokensOfText(input);
  const output_tokens = tokensOfSound(totalMs);
  const usage = { input_tokens, output_tokens, total_tokens: input_tokens + output_tokens };
  yield event({ type: "speech.audio.done", usage });
}

function event(data: object): Uint8Array {
  return Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
}

async function* startingWith(
  first: IteratorResult<Uint8Array>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (!first.done) yield first.value;
  yield* rest;
}
