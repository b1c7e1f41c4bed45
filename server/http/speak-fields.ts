import { z } from "zod";
import { parseTurn, type TurnRequest } from "../conversation/turn-request.ts";
import { InvalidRequest } from "../core/errors.ts";
import type { formats } from "./speak-encoding.ts";

/** A request for a turn over HTTP, with checked fields. */
export type SpeakRequest = {
  readonly turn: TurnRequest;
  readonly format: keyof typeof formats;
};

const speakFields = z.strictObject({
  prompt: z.string(),
  hardware_id: z.string(),
  session_id: z.string().optional(),
  turn_id: z.string().optional(),
  language: z.string().optional(),
  voice: z.string().optional(),
  format: z.enum(["wav", "pcm", "sse"]).default("wav"),
});

/** Reads a JSON body. Throws `InvalidRequest` that names the field. */
export function readBody(text: string): SpeakRequest {
  try {
    return readFields(JSON.parse(text));
  } catch (error) {
    throw error instanceof SyntaxError ? new InvalidRequest("body", "must be JSON") : error;
  }
}

/** Reads a query's fields, each at most once. Throws `InvalidRequest` that names the field. */
export function readQuery(query: URLSearchParams): SpeakRequest {
  for (const name of query.keys()) {
    if (query.getAll(name).length > 1) throw new InvalidRequest(name, "must be given once");
  }
  return readFields(Object.fromEntries(query));
}

function readFields(fields: unknown): SpeakRequest {
  const parsed = speakFields.safeParse(fields);
  if (parsed.success) {
    const { format, ...rest } = parsed.data;
    return { turn: parseTurn(rest), format };
  }
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    throw new InvalidRequest(issue.keys[0] ?? "body", "is not a field of this request");
  }
  const field = issue?.path.join(".") || "body";
  throw new InvalidRequest(field, `is missing or of the wrong kind (${issue?.message})`);
}
