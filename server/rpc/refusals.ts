import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { type Code, ConnectError } from "@connectrpc/connect";
import { codeToString, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { LimitExceeded } from "../core/errors.ts";
import { readMediaType } from "../core/http.ts";
import { type ErrorDetail, errorInfo, limitDetails } from "./error-details.ts";
import { toBase64, webTextTypes } from "./grpc-web-text.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** Why a request is refused before a service sees it. */
export type Refusal = {
  /** The HTTP status, for callers other than gRPC and gRPC-Web. */
  readonly status: 401 | 403 | 404 | 405 | 415 | 429 | 503;
  readonly code: Code;
  readonly message: string;
  /** The methods that the path accepts, for 405. */
  readonly allow?: string;
  /** Why, for programs: it is sent as google.rpc.ErrorInfo. */
  readonly reason?: string;
  /** Which limit was reached, for 429: it is sent as google.rpc.ErrorInfo and RetryInfo. */
  readonly limit?: Pick<LimitExceeded, "limit" | "retryAfterMs">;
};

/** Refuses a request in its caller's protocol: gRPC, gRPC-Web, or JSON for Connect and HTTP routes. */
export function refuse(request: Request, response: Response, refusal: Refusal): void {
  if (refusal.limit) response.setHeader("retry-after", retrySeconds(refusal.limit));
  const type = readMediaType(request.headers["content-type"]) ?? "";
  if (isGrpcWeb(type)) refuseAsGrpcWeb(response, type, refusal);
  else if (isGrpc(type)) refuseAsGrpc(response, type, refusal);
  else {
    const { code, message, ...details } = toJson(refusal);
    // Connect's clients read the outer fields, others `error`.
    refuseAsJson(response, refusal, { code, message, ...details, error: { code, message } });
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

function retrySeconds({ retryAfterMs }: Pick<LimitExceeded, "retryAfterMs">): string {
  return String(Math.ceil(retryAfterMs / 1000));
}

function toJson(refusal: Refusal) {
  const { code, message } = refusal;
  if (detailsOf(refusal).length === 0) return { code: codeToString(code), message };
  return errorToJson(toError(refusal), undefined) as { code: string; message: string };
}

function detailsOf({ reason, limit }: Refusal): ErrorDetail[] {
  if (limit) return limitDetails(limit.limit, limit.retryAfterMs);
  return reason === undefined ? [] : [errorInfo(reason)];
}

function toError(refusal: Refusal): ConnectError {
  return new ConnectError(refusal.message, refusal.code, undefined, detailsOf(refusal));
}

/** The status as gRPC's headers or trailers. */
function statusFields(refusal: Refusal): readonly (readonly [string, string])[] {
  const { code, message } = refusal;
  const fields = [
    ["grpc-status", String(code)] as const,
    ["grpc-message", encodeMessage(message)] as const,
  ];
  const details = setTrailerStatus(new Headers(), toError(refusal)).get("grpc-status-details-bin");
  return detailsOf(refusal).length > 0 && details
    ? [...fields, ["grpc-status-details-bin", details]]
    : fields;
}

function refuseAsJson(response: Response, { status, allow }: Refusal, body: object): void {
  if (allow) response.setHeader("allow", allow);
  response.setHeader("content-type", "application/json");
  end(response, status, JSON.stringify(body));
}

/** Sends trailers only: the status in the headers, without a body. */
function refuseAsGrpc(response: Response, type: string, refusal: Refusal): void {
  response.setHeader("content-type", type);
  for (const [name, value] of statusFields(refusal)) response.setHeader(name, value);
  end(response, 200);
}

const TRAILERS_FLAG = 0x80;

/** Sends one frame of trailers, in base64 for a text type. */
function refuseAsGrpcWeb(response: Response, type: string, refusal: Refusal): void {
  const trailers = Buffer.from(
    statusFields(refusal)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join(""),
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
