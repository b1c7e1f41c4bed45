import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { readMediaType } from "../core/http.ts";
import { toBase64, webTextTypes } from "./grpc-web-text.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** Why a request is refused before a service sees it. */
export type Refusal = {
  /** The HTTP status, for callers other than gRPC and gRPC-Web. */
  readonly status: 403 | 404 | 405 | 415;
  readonly code: Code;
  readonly message: string;
  /** The methods that the path accepts, for 405. */
  readonly allow?: string;
};

/** Refuses a request in its caller's protocol: gRPC, gRPC-Web, or JSON for Connect and HTTP routes. */
export function refuse(request: Request, response: Response, refusal: Refusal): void {
  const type = readMediaType(request.headers["content-type"]) ?? "";
  if (isGrpcWeb(type)) refuseAsGrpcWeb(response, type, refusal);
  else if (isGrpc(type)) refuseAsGrpc(response, type, refusal);
  else {
    const { code, message } = toJson(refusal);
    // Connect's clients read the outer fields, others `error`.
    refuseAsJson(response, refusal, { code, message, error: { code, message } });
  }
}

/** Refuses a unary Connect call: an HTTP status and JSON. */
export function refuseAsConnect(response: Response, refusal: Refusal): void {
  refuseAsJson(response, refusal, toJson(refusal));
}

/** Whether a media type is one of gRPC-Web. */
export function isGrpcWeb(type: string): boolean {
  return /^application\/grpc-web(-text)?(\+|$)/.test(type);
}

/** Whether a media type is one of gRPC, without gRPC-Web. */
export function isGrpc(type: string): boolean {
  return /^application\/grpc(\+|$)/.test(type);
}

function toJson({ code, message }: Refusal) {
  return { code: codeToString(code), message };
}

function refuseAsJson(response: Response, { status, allow }: Refusal, body: object): void {
  if (allow) response.setHeader("allow", allow);
  response.setHeader("content-type", "application/json");
  end(response, status, JSON.stringify(body));
}

/** Sends trailers only: the status in the headers, without a body. */
function refuseAsGrpc(response: Response, type: string, { code, message }: Refusal): void {
  response.setHeader("content-type", type);
  response.setHeader("grpc-status", String(code));
  response.setHeader("grpc-message", encodeMessage(message));
  end(response, 200);
}

const TRAILERS_FLAG = 0x80;

/** Sends one frame of trailers, in base64 for a text type. */
function refuseAsGrpcWeb(response: Response, type: string, { code, message }: Refusal): void {
  const trailers = Buffer.from(
    `grpc-status: ${code}\r\ngrpc-message: ${encodeMessage(message)}\r\n`,
  );
  const head = Buffer.of(TRAILERS_FLAG, 0, 0, 0, 0);
  head.writeUInt32BE(trailers.length, 1);
  const frame = Buffer.concat([head, trailers]);
  response.setHeader("content-type", type);
  end(response, 200, webTextTypes.includes(type) ? toBase64(frame) : frame);
}

/** Percent-encodes all but printable ASCII, as gRPC asks for. */
function encodeMessage(message: string): string {
  return message.replace(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent);
}

function end(response: Response, status: number, body: string | Uint8Array = ""): void {
  response.statusCode = status;
  response.setHeader("content-length", Buffer.byteLength(body));
  // Only the types of end() differ.
  if (body === "") response.end();
  else (response as ServerResponse).end(body);
}
