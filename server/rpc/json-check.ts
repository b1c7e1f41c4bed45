import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * Long strings of one JSON request by their placeholders. The parser sees the placeholders, so that
 * it never blocks the event loop for a long string.
 */
export type DeferredStrings = Map<string, string>;

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

// JSON.parse takes 0.4 µs for an empty array, the most expensive of these.
const MAX_MARKS = 16_384;
// String bytes that are read one by one. After that, the search goes from quotation mark to quotation
// mark. Two texts of 64 KiB that consist of escapes are below it.
const MAX_STEPS = 1024 * 1024;
const MAX_QUOTES = 32_768;
// Bytes outside strings: punctuation, numbers and white space.
const MAX_OUTSIDE_BYTES = 128 * 1024;
const MAX_REST_BYTES = 1024 * 1024;
const LONG_TEXT_BYTES = 256 * 1024;
const PART_BYTES = 512 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;

/** A long string: the positions of its quotation marks. */
export type Span = { readonly from: number; readonly to: number };

/** What the check has counted. */
type Found = {
  outsideBytes: number;
  marks: number;
  steps: number;
  quotes: number;
  restBytes: number;
  depth: number;
};

/**
 * Checks that JSON, apart from its long strings, can be parsed within a few milliseconds. Returns the
 * long strings of the outermost object. Throws INVALID_ARGUMENT. The parser checks the syntax.
 */
export function checkJson(bytes: Uint8Array): readonly Span[] {
  if (!isUtf8(bytes)) throw malformed("it must be UTF-8");
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Found = { outsideBytes: 0, marks: 0, steps: 0, quotes: 0, restBytes: 0, depth: 0 };
  const long: Span[] = [];
  for (let at = 0; at < buffer.length; at++) {
    const start = at;
    if (buffer[at] === QUOTE) at = findEnd(buffer, at, found);
    else countOutside(buffer[at], found);
    if (found.depth === 1 && at - start > LONG_TEXT_BYTES) long.push({ from: start, to: at });
    else found.restBytes += at + 1 - start;
    if (found.restBytes > MAX_REST_BYTES) throw malformed("it has too much beside its fields");
  }
  return long;
}

function countOutside(byte: number | undefined, found: Found): void {
  found.outsideBytes += 1;
  if (found.outsideBytes > MAX_OUTSIDE_BYTES) throw malformed("it has too much white space");
  if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) found.depth -= 1;
  if (byte === OPEN_LIST || byte === OPEN_OBJECT) found.depth += 1;
  else if (byte !== COMMA && byte !== COLON) return;
  found.marks += 1;
  if (found.marks > MAX_MARKS) throw malformed("it has too many values");
}

/** The position of the quotation mark that ends a string. */
function findEnd(buffer: Buffer, from: number, found: Found): number {
  let at = from + 1;
  // Byte by byte is faster for many escapes, as in a prompt of quotation marks.
  for (; at < buffer.length && found.steps < MAX_STEPS; at++) {
    found.steps += 1;
    if (buffer[at] === QUOTE) return at;
    if (buffer[at] === BACKSLASH) at += 1;
  }
  for (at = buffer.indexOf(QUOTE, at); at >= 0; at = buffer.indexOf(QUOTE, at + 1)) {
    found.quotes += 1;
    if (found.quotes > MAX_QUOTES) throw malformed("it has too many quotation marks");
    // An odd number of backslashes before it escapes it.
    const backslashes = backslashesBefore(buffer, at, from);
    found.steps += backslashes;
    if (found.steps > 2 * MAX_STEPS) throw malformed("it has too many escapes");
    if (backslashes % 2 === 0) return at;
  }
  throw malformed("a string does not end");
}

function backslashesBefore(buffer: Uint8Array, at: number, from: number): number {
  let first = at;
  const last = Math.max(from, at - 2 * MAX_STEPS);
  while (first - 1 > last && buffer[first - 1] === BACKSLASH) first -= 1;
  return at - first;
}

/**
 * Decodes a long JSON string in parts and lets the event loop turn in between: JSON.parse takes 20 ms
 * for 12 MiB. Throws INVALID_ARGUMENT.
 */
export async function decodeLongString(bytes: Uint8Array, { from, to }: Span): Promise<string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let start = from + 1; start < to; ) {
    const end = start + PART_BYTES >= to ? to : findCut(buffer, start, start + PART_BYTES);
    text += parseString(`"${buffer.toString("utf8", start, end)}"`);
    start = end;
    await nextTurn();
  }
  return text;
}

/** The last position up to `at` that splits neither an escape nor a character. */
function findCut(buffer: Buffer, start: number, at: number): number {
  let cut = at;
  while (((buffer[cut] ?? 0) & 0xc0) === 0x80) cut -= 1;
  const last = buffer.lastIndexOf(BACKSLASH, cut - 1);
  if (last < start || cut - last >= "\\u0000".length) return cut;
  const isEscaped = backslashesBefore(buffer, last, start - 1) % 2 === 1;
  return isEscaped ? last + 1 : last;
}

function parseString(json: string): string {
  try {
    return JSON.parse(json) as string;
  } catch {
    throw malformed("a string is not valid JSON");
  }
}

function malformed(rule: string): ConnectError {
  return new ConnectError(`the message cannot be read: ${rule}`, Code.InvalidArgument);
}
