import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { bytesOf } from "../server/core/audio/pcm.ts";
import { drip, type FaultKind } from "./script.ts";

/** Samples for each UTF-16 unit: 5 ms at 24 kHz. The value of the samples is the unit. */
export const SAMPLES_A_LETTER = 120;

/** How the service behaves beside its script. Times are milliseconds. */
export type LiveBehavior = {
  /** Between the last word and the end of the turn, as if the sound were being played. */
  readonly lagMs?: number;
  /** What the model says while it thinks; the script's reply follows after `thinkMs`. */
  readonly filler?: string;
  readonly thinkMs?: number;
  /** By how much the transcript trails the sound, and so its turn. It comes in step if absent. */
  readonly trailMs?: number;
  /** True if the model has nothing to say, and ends its turn as it always does. */
  readonly isQuiet?: boolean;
  /** Whether the sessions can be resumed after a turn; true if absent. */
  readonly resumable?: boolean;
  /** What the service hears in speech, in these deltas; it tells no words if absent. */
  readonly hears?: readonly string[];
  /** Whether a completed turn tells that nothing follows; true if absent. */
  readonly tellsStatus?: boolean;
  /** Connections that the account may have. */
  readonly maxConnections?: number;
};

/** Code and reason of a close frame. */
export type Close = readonly [code: number, reason: string];

/** Google's close frame for a fault; undefined if it does not close the session for it. */
export function closeFor(kind: FaultKind): Close | undefined {
  switch (kind) {
    case "unauthorized":
      return [1007, "API key not valid. Please pass a valid API key."];
    case "forbidden":
      return [1008, "The caller does not have permission"];
    case "rate-limit":
      return [1011, "Resource has been exhausted (e.g. check quota)."];
    case "quota":
      return [1011, "You exceeded your current quota, please check your plan and billing details."];
    case "html-500":
      return [1011, "Internal error encountered."];
    default:
      return undefined;
  }
}

/** A spoken delta: the transcript, then audio whose samples spell it. */
export function spokenDelta(
  text: string,
  rateHz: number,
): readonly [transcript: object, sound: object] {
  const pcm = Int16Array.from({ length: text.length * SAMPLES_A_LETTER }, (_, at) =>
    text.charCodeAt(Math.floor(at / SAMPLES_A_LETTER)),
  );
  const data = Buffer.from(bytesOf(pcm)).toString("base64");
  const inlineData = { mimeType: `audio/pcm;rate=${rateHz}`, data };
  return [
    { serverContent: { outputTranscription: { text } } },
    { serverContent: { modelTurn: { role: "model", parts: [{ inlineData }] } } },
  ];
}

/** Decodes the text from the samples of `spokenDelta`. */
export function decodeSpoken(chunks: readonly Int16Array[]): string {
  const samples = chunks.flatMap((pcm) => Array.from(pcm));
  const letters = samples.filter((_, index) => index % SAMPLES_A_LETTER === 0);
  return letters.map((code) => String.fromCharCode(code & 0xffff)).join("");
}

/** Sends messages to one client in order, whole or byte by byte. */
export type Sender = {
  send(message: object): Promise<void>;
  /** Sends half a message, then breaks the connection. */
  cut(): void;
};

/** Creates the sender of a connection. The service sends JSON in binary frames. */
export function createSender(
  { client, socket }: { readonly client: WebSocket; readonly socket: Duplex },
  drips: () => boolean,
  signal: AbortSignal,
): Sender {
  const write = (bytes: Uint8Array) => {
    if (socket.writable) socket.write(bytes);
  };
  return {
    async send(message) {
      const json = Buffer.from(JSON.stringify(message));
      if (drips()) await drip(frameOf(json), write, signal);
      else client.send(json);
    },
    cut() {
      const frame = frameOf(Buffer.from(JSON.stringify(spokenDelta("never whole", 24_000))));
      socket.write(frame.subarray(0, frame.length / 2), () => socket.destroy());
    },
  };
}

/** An unmasked binary frame. */
function frameOf(payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(10);
  header.writeUInt8(0x82, 0);
  header.writeUInt8(127, 1);
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}
