import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** The media types of gRPC-Web in base64, as `readMediaType` gives them. */
export const webTextTypes: readonly string[] = [
  "application/grpc-web-text",
  "application/grpc-web-text+proto",
];

/**
 * Puts gRPC-Web's text form in front of the adapter, which speaks the binary one alone. To the
 * adapter the request says that it is binary; its body is decoded where it is read (`createReframe`,
 * which must see the request first). What the adapter writes goes out as base64, padded write by
 * write, so that a browser shows each message as it comes. Other requests stay as they are.
 */
export function translateWebText(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  const type = request.headers["content-type"] ?? "";
  if (!webTextTypes.includes(type)) return;
  request.headers["content-type"] = type.replace("-text", "");
  encodeWrites(response as LooseResponse, type);
}

/** The response in the one form in which the adapter calls it; Node's types have many. */
type LooseResponse = {
  writeHead(status: number, headers: Record<string, string>): unknown;
  write(piece: Uint8Array | string, ...rest: readonly unknown[]): boolean;
};

function encodeWrites(response: LooseResponse, type: string): void {
  const writeHead = response.writeHead.bind(response);
  const write = response.write.bind(response);
  response.writeHead = (status, headers) => {
    // A head without a type is that of an empty refusal.
    if (headers["content-type"] === undefined) return writeHead(status, headers);
    response.write = (piece, ...rest) => write(toBase64(piece as Uint8Array), ...rest);
    return writeHead(status, { ...headers, "content-type": type });
  };
}

/** The bytes in base64, padded. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
