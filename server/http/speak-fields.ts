import { z } from "zod";
import { type Caller, deviceOf } from "../auth/caller.ts";
import { parseTurn, type TurnRequest } from "../conversation/turn-request.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { formats } from "./speak-encoding.ts";

/** A request for a turn over HTTP, with checked fields. */
export type SpeakRequest = {
  readonly turn: TurnRequest;
  readonly format: keyof typeof formats;
  /** Who sent it; who redeems a ticket acts for it. */
  readonly caller: Caller;
};

/** As a uint32 of the RPC. */
const MAX_LEAD_MS = 2 ** 32 - 1;

const speakFields = z.strictObject({
  prompt: z.string(),
  // Required, unless the caller's token says it.
  hardware_id: z.string().optional(),
  session_id: z.string().optional(),
  turn_id: z.string().optional(),
  language: z.string().optional(),
  voice: z.string().optional(),
  // A query has it as text.
  lead_ms: z.coerce.number().int().min(0).max(MAX_LEAD_MS).optional(),
  format: z.enum(["wav", "pcm", "opus", "sse"]).default("wav"),
});

/**
 * Reads a JSON body of this caller. Throws `InvalidRequest` that names the field, and `AccessDenied` for
 * the device of another.
 */
export function readBody(text: string, caller: Caller): SpeakRequest {
  try {
    return readFields(JSON.parse(text), caller);
  } catch (error) {
    throw error instanceof SyntaxError ? new InvalidRequest("body", "must be JSON") : error;
  }
}

/** Reads a query's fields, each at most once. Throws as `readBody` does. */
export function readQuery(query: URLSearchParams, caller: Caller): SpeakRequest {
  for (const name of query.keys()) {
    if (query.getAll(name).length > 1) throw new InvalidRequest(name, "must be given once");
  }
  return readFields(Object.fromEntries(query), caller);
}

function readFields(fields: unknown, caller: Caller): SpeakRequest {
  const parsed = speakFields.safeParse(fields);
  if (parsed.success) {
    const { format, hardware_id = "", ...rest } = parsed.data;
    return {
      turn: parseTurn({ ...rest, hardware_id: deviceOf(caller, hardware_id) }),
      format,
      caller,
    };
  }
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw new InvalidRequest(issue.keys[0] ?? "body", "is not a field of this request");
  }
  const field = issue?.path.join(".") || "body";
  throw new InvalidRequest(field, `is missing or of the wrong kind (${issue?.message})`);
}
