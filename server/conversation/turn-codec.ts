import { TurnCancelled } from "../core/async.ts";
import { bytesOf, samplesOf } from "../core/audio/pcm.ts";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import type { TurnChunk } from "./reply.ts";
import { MAX_TURN_BYTES } from "./turn-buffer.ts";
import type { TurnRequest } from "./turn-request.ts";

/** A request of a device's turn. */
export type DeviceTurnRequest = TurnRequest & { readonly deviceId: string };

// A chunk is the length of its head, the head as JSON, and its bytes.
const LENGTH_BYTES = 4;

/** A chunk as bytes, without its number. */
export function encodeChunk(chunk: TurnChunk): Uint8Array {
  const { sequence: _, ...rest } = chunk;
  const [head, body] = rest.type === "audio" ? partsOf(rest) : [rest, NO_BYTES];
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, body]);
}

/** Of a packet, the samples are only counted. */
function partsOf({ pcm, packet, ...rest }: Extract<TurnChunk, { type: "audio" }>) {
  if (packet) return [{ ...rest, samples: pcm.length }, packet] as const;
  return [rest, bytesOf(pcm)] as const;
}

const NO_BYTES = new Uint8Array(0);

/** The chunk of such bytes. */
export function decodeChunk(bytes: Buffer): TurnChunk {
  const end = LENGTH_BYTES + bytes.readUInt32LE(0);
  const { samples, ...head } = JSON.parse(bytes.toString("utf8", LENGTH_BYTES, end));
  if (head.type === "text") return head;
  // A copy: the bytes are a part of a larger read, and need not begin where a sample may.
  const body = Uint8Array.from(bytes.subarray(end));
  if (samples === undefined) return { ...head, pcm: samplesOf(body) };
  return { ...head, pcm: new Int16Array(samples), packet: body };
}

/**
 * A request as text, so that another instance can go on with its turn. Without what belongs to this one,
 * and without a screenshot that is larger than a turn may be.
 */
export function encodeRequest(request: DeviceTurnRequest): string {
  const { connection: _, collected: __, prompt, ...rest } = request;
  const { screenshot, ...words } = prompt;
  const isSmall = screenshot !== undefined && screenshot.bytes.length <= MAX_TURN_BYTES;
  const base64 = isSmall ? Buffer.from(screenshot.bytes).toString("base64") : undefined;
  const picture = base64 && { screenshot: { ...screenshot, bytes: base64 } };
  return JSON.stringify({ ...rest, prompt: { ...words, ...picture } });
}

/** The request of such a text. */
export function decodeRequest(text: string): DeviceTurnRequest {
  const request = JSON.parse(text);
  const { screenshot } = request.prompt;
  if (screenshot) screenshot.bytes = Buffer.from(screenshot.bytes, "base64");
  return request;
}

/** How a turn ended, as text. */
export function encodeEnd(error?: unknown): string {
  if (error === undefined) return JSON.stringify({});
  if (error instanceof TurnCancelled) return JSON.stringify({ cancelled: error.reason });
  if (!(error instanceof NoProviderLeft)) return JSON.stringify({ failed: true });
  const causes = error.causes.map(({ provider, kind, message }) => ({
    provider,
    kind,
    message: message.slice(provider.length + 2),
  }));
  return JSON.stringify({ none: error.kind, causes });
}

/** How a turn ended: with an error, or without. Nothing of one that was cancelled is read any more. */
export function decodeEnd(text: string): { readonly error?: Error } {
  const { cancelled, none, causes = [], failed } = JSON.parse(text);
  if (cancelled) return { error: new TurnCancelled(cancelled) };
  if (failed) return { error: new Error("the turn failed at another instance") };
  if (!none) return {};
  const errors = causes.map(
    ({ provider, kind, message }: ProviderError) => new ProviderError(provider, kind, message),
  );
  return { error: new NoProviderLeft(none, errors) };
}
