import type { Socket } from "node:net";
import type { Conversation } from "../../conversation/conversation.ts";
import { MAX_PROMPT_BYTES, parseWelcome } from "../../conversation/turn-request.ts";
import { bytesOf, outputRateHz } from "../../core/audio/pcm.ts";
import { InvalidRequest } from "../../core/errors.ts";
import { createSentenceCutter, type SentenceCutter } from "../../core/text/sentences.ts";
import { turnOfCaller } from "../door.ts";
import { type WyomingEvent, writeEvent } from "./events.ts";

/** The sound of every event: 48 kHz, 16 bit, mono. */
const format = { rate: outputRateHz, width: 2, channels: 1 };

/** What the texts of a connection are spoken with. */
export type SpeakerParts = {
  readonly conversation: Pick<Conversation, "talk">;
  readonly socket: Socket;
  /** Fires when the client has left. */
  readonly signal: AbortSignal;
};

/** Speaks the texts of one connection, one after the other. */
export type Speaker = {
  /** Takes an event of those that ask for speech. Any other is left alone. */
  take(event: WyomingEvent): Promise<void>;
};

/** A text that comes in pieces. */
type Stream = {
  readonly voice: VoiceFields;
  readonly cutter: SentenceCutter;
  bytes: number;
  hasBegun: boolean;
};

type VoiceFields = { readonly voice?: string; readonly language?: string };

/** Makes the speaker of a connection. Each text, and each sentence of a text in pieces, is a turn. */
export function createSpeaker({ conversation, socket, signal }: SpeakerParts): Speaker {
  let stream: Stream | undefined;
  const write = (type: string, data: object, payload?: Uint8Array) =>
    writeEvent(socket, { type, data: { ...data }, ...(payload && { payload }) }, signal);

  /** Returns whether there was sound. */
  const speak = async (text: string, voice: VoiceFields, hasBegun: boolean): Promise<boolean> => {
    const turn = { ...parseWelcome({ text, ...voice }), ...turnOfCaller({}), connection: socket };
    let begun = hasBegun;
    for await (const batch of conversation.talk(turn, signal)) {
      for (const chunk of batch) {
        if (chunk.type !== "audio") continue;
        if (!begun) await write("audio-start", format);
        begun = true;
        await write("audio-chunk", format, bytesOf(chunk.pcm));
      }
    }
    return begun;
  };
  const speakSentences = async (
    of: Stream,
    sentences: AsyncIterable<string> | Iterable<string>,
  ) => {
    for await (const sentence of sentences) {
      if (sentence.trim() !== "") of.hasBegun = await speak(sentence, of.voice, of.hasBegun);
    }
  };
  const end = async (hasBegun: boolean) => {
    if (!hasBegun) await write("audio-start", format);
    await write("audio-stop", {});
  };

  return {
    async take({ type, data }) {
      if (type === "synthesize-start") {
        stream = {
          voice: voiceOf(data),
          cutter: createSentenceCutter(),
          bytes: 0,
          hasBegun: false,
        };
      } else if (type === "synthesize-chunk" && stream) {
        const text = textOf(data);
        stream.bytes += Buffer.byteLength(text);
        if (stream.bytes > MAX_PROMPT_BYTES) {
          throw new InvalidRequest("text", `must be at most ${MAX_PROMPT_BYTES} bytes in all`);
        }
        await speakSentences(stream, stream.cutter.push(text));
      } else if (type === "synthesize-stop" && stream) {
        const ended = stream;
        stream = undefined;
        await speakSentences(ended, ended.cutter.flush());
        await end(ended.hasBegun);
        await write("synthesize-stopped", {});
      } else if (type === "synthesize" && !stream) {
        // Within a stream it is the whole text once more, for servers that know no streams.
        await end(await speak(textOf(data), voiceOf(data), false));
      }
    },
  };
}

function textOf({ text }: WyomingEvent["data"]): string {
  if (typeof text === "string") return text;
  throw new InvalidRequest("text", "is required and must be text");
}

function voiceOf({ voice }: WyomingEvent["data"]): VoiceFields {
  const { name, language } = (voice ?? {}) as {
    readonly name?: unknown;
    readonly language?: unknown;
  };
  return {
    // What `info` calls the tiers' own voice has no name.
    ...(typeof name === "string" && name !== DEFAULT_VOICE && { voice: name }),
    ...(typeof language === "string" && { language }),
  };
}

/** The name of each tier's own voice. */
export const DEFAULT_VOICE = "parley";
