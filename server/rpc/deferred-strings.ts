import { randomUUID } from "node:crypto";
import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { checkJson, decodeLongString } from "./json-check.ts";

/**
 * Long strings of one JSON request by their placeholders. The parser sees the placeholders, so that
 * it never blocks the event loop for a long string.
 */
export type DeferredStrings = Map<string, string>;

/** Where a call's context holds its deferred strings. */
export const deferredStringsKey = createContextKey<DeferredStrings>(new Map());

/**
 * Checks a JSON message and replaces each long string by a placeholder. Throws INVALID_ARGUMENT for
 * a message that would take long to parse.
 */
export async function deferLongStrings(
  bytes: Uint8Array,
  strings: DeferredStrings,
): Promise<Uint8Array> {
  const spans = checkJson(bytes);
  if (spans.length === 0) return bytes;
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const span of spans) {
    const placeholder = `text ${randomUUID()}`;
    strings.set(placeholder, await decodeLongString(bytes, span));
    parts.push(bytes.subarray(at, span.from), Buffer.from(`"${placeholder}"`));
    at = span.to + 1;
  }
  return Buffer.concat([...parts, bytes.subarray(at)]);
}

/** Restores the deferred strings in the fields of a parsed message. */
export const restoreStrings: Interceptor = (next) => (request) => {
  const strings = request.contextValues.get(deferredStringsKey);
  if (request.stream) return next({ ...request, message: restoreEach(request.message, strings) });
  restore(request.message, strings);
  return next(request);
};

async function* restoreEach<Message extends object>(
  messages: AsyncIterable<Message>,
  strings: DeferredStrings,
): AsyncGenerator<Message> {
  for await (const message of messages) {
    restore(message, strings);
    yield message;
  }
}

function restore(message: object, strings: DeferredStrings): void {
  if (strings.size === 0) return;
  for (const [name, value] of Object.entries(message)) {
    const text = typeof value === "string" ? strings.get(value) : undefined;
    if (text !== undefined) Object.assign(message, { [name]: text });
  }
}
