import { randomUUID } from "node:crypto";
import { InvalidRequest } from "../core/errors.ts";

/** Largest prompt, in bytes of UTF-8. */
export const MAX_PROMPT_BYTES = 64 * 1024;

const MAX_ID_BYTES = 128;
const MAX_PIXELS = 32_768;
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const SESSION_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** A device's id: 1 to 128 bytes without control characters, and not "unknown" in any case. */
export function parseDeviceId(value: string): string {
  if (value === "") throw new InvalidRequest("hardware_id", "is required and must not be empty");
  if (Buffer.byteLength(value) > MAX_ID_BYTES) {
    throw new InvalidRequest("hardware_id", `must be at most ${MAX_ID_BYTES} bytes`);
  }
  if (/\p{Cc}/u.test(value)) {
    throw new InvalidRequest("hardware_id", "must not contain control characters");
  }
  // What clients send that could not read their id: all of them would be one device.
  if (/^\s*unknown\s*$/i.test(value)) {
    throw new InvalidRequest("hardware_id", 'must not be "unknown"');
  }
  return value;
}

/** A session's id, or a new one for a client that gives none. */
export function parseSessionId(value: string | undefined): string {
  if (!value) return randomUUID();
  if (SESSION_ID.test(value)) return value;
  throw new InvalidRequest("session_id", "must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -");
}

/** The session of a prompt that comes in pieces: a UUID of version 4, in either case. */
export function parsePhaseSessionId(value: string | undefined): string {
  if (value && UUID_V4.test(value)) return value;
  throw new InvalidRequest(
    "session_id",
    "is required with a phase and must be a UUID of version 4",
  );
}

/** A prompt or a text to speak. */
export function parseWords(field: string, value: string): string {
  if (value.trim() === "") throw new InvalidRequest(field, "is required and must not be blank");
  return parseText(field, value);
}

/** Words that may be blank. */
export function parseText(field: string, value: string): string {
  if (Buffer.byteLength(value) > MAX_PROMPT_BYTES) {
    throw new InvalidRequest(field, `must be at most ${MAX_PROMPT_BYTES} bytes of UTF-8`);
  }
  return value;
}

/** One side of the user's screen. Absent and 0 mean unknown. */
export function parsePixels(field: string, value: number | undefined): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (Number.isInteger(value) && value > 0 && value <= MAX_PIXELS) return value;
  throw new InvalidRequest(field, `must be 1 to ${MAX_PIXELS} pixels, or 0 for unknown`);
}

/** A voice by its provider's name. */
export function parseVoiceField(value: string | undefined): { name?: string } {
  if (!value) return {};
  if (value.length <= MAX_ID_BYTES && !/\p{Cc}/u.test(value)) return { name: value };
  throw new InvalidRequest("voice", `must be at most ${MAX_ID_BYTES} characters, none of control`);
}
