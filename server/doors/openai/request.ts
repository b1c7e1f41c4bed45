import type { Context } from "hono";
import type { z } from "zod";
import { LimitExceeded } from "../../core/errors.ts";
import { readMediaType, readText } from "../../core/http.ts";
import type { NodeEnv } from "../door.ts";
import { invalidField, OpenaiProblem } from "./errors.ts";

/**
 * Reads a JSON body of up to `maxBytes`. Throws `OpenaiProblem` for one of another type (any web page may
 * send forms and plain text without asking), that is too long, or that is not JSON; and `LimitExceeded`.
 */
export type JsonReader = (context: Context<NodeEnv>, maxBytes: number) => Promise<unknown>;

/** Creates the reader of a door's bodies. Those that arrive at the same time share `maxInFlightBytes`. */
export function createJsonReader(maxInFlightBytes: number): JsonReader {
  let inFlightBytes = 0;
  return async ({ env, req }, maxBytes) => {
    if (readMediaType(req.header("content-type")) !== "application/json") {
      const message = "content-type must be application/json";
      throw new OpenaiProblem(415, "unsupported_media_type", message);
    }
    let bytes = 0;
    const count = (more: number) => {
      bytes += more;
      inFlightBytes += more;
      if (inFlightBytes > maxInFlightBytes) {
        throw new LimitExceeded("gateway busy; retry in 2 s", "request_bodies");
      }
    };
    try {
      const text = await readText(env.incoming, maxBytes, count);
      if (text !== undefined) return parseJson(text);
    } finally {
      inFlightBytes -= bytes;
    }
    throw new OpenaiProblem(413, "request_too_large", `the body is over ${maxBytes} bytes`);
  };
}

/** Parses JSON. Throws `OpenaiProblem`. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new OpenaiProblem(400, "invalid_json", "the body must be JSON");
  }
}

/** Checks fields by a schema. Throws `OpenaiProblem` that names the field, below `path` if there is one. */
export function checkFields<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path = "",
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = [path, ...(issue?.path ?? [])].filter((part) => part !== "").join(".");
  throw invalidField(field || "body", `is missing or wrong: ${issue?.message}`);
}
