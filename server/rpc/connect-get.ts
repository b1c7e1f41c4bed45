import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { checkBinary } from "./binary-check.ts";
import { tooLarge } from "./envelopes.ts";
import { checkJson } from "./json-check.ts";
import type { ServedMethod } from "./message-limits.ts";

/**
 * Checks the message in the URL of a Connect GET. Compressed messages are refused, since any page can
 * send one by an image. Throws UNIMPLEMENTED for compression, RESOURCE_EXHAUSTED and INVALID_ARGUMENT.
 */
export function checkGet(url: string, { method, limits }: ServedMethod): void {
  const query = new URL(url).searchParams;
  const compression = query.get("compression");
  if (compression !== null && compression !== "identity") {
    const message = "GET takes no compressed message; use POST";
    throw new ConnectError(message, Code.Unimplemented);
  }
  const bytes = readMessage(query.get("message") ?? "", query.get("base64") === "1");
  const isJson = query.get("encoding") === "json";
  const maxBytes = isJson ? limits.jsonBytes : limits.binaryBytes;
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  if (isJson) checkJson(bytes);
  else checkBinary(method.input, bytes);
}

function readMessage(text: string, isBase64: boolean): Uint8Array {
  if (!isBase64) return Buffer.from(text);
  try {
    return base64Decode(text);
  } catch {
    const message = "the message cannot be read: it must be base64";
    throw new ConnectError(message, Code.InvalidArgument);
  }
}
