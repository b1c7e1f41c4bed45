import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { toBase64, webTextTypes } from "./grpc-web-text.ts";

type Response = ServerResponse | Http2ServerResponse;

/** Why an RPC is refused, as a Connect client or a person with curl reads it. */
export type Refusal = {
  /** The HTTP status. */
  readonly status: 404 | 405 | 415;
  readonly code: "unimplemented" | "invalid_argument";
  readonly message: string;
  /** The methods that the path takes, for 405. */
  readonly allow?: string;
};

/** Refuses in Connect's form for unary calls: a status and JSON. */
export function refuseAsConnect(response: Response, refusal: Refusal): void {
  const { status, code, message, allow } = refusal;
  if (allow) response.setHeader("allow", allow);
  response.setHeader("content-type", "application/json");
  end(response, status, JSON.stringify({ code, message }));
}

/** Refuses with UNIMPLEMENTED in gRPC's form for it: the trailers alone, as headers, without a body. */
export function refuseAsGrpc(response: Response, type: string, message: string): void {
  response.setHeader("content-type", type);
  response.setHeader("grpc-status", unimplemented);
  response.setHeader("grpc-message", message);
  end(response, 200);
}

/** Refuses with UNIMPLEMENTED in gRPC-Web's form: a frame with the trailers, in base64 if it is text. */
export function refuseAsGrpcWeb(response: Response, type: string, message: string): void {
  const trailers = Buffer.from(`grpc-status: ${unimplemented}\r\ngrpc-message: ${message}\r\n`);
  const head = Buffer.of(trailersFlag, 0, 0, 0, 0);
  head.writeUInt32BE(trailers.length, 1);
  const frame = Buffer.concat([head, trailers]);
  response.setHeader("content-type", type);
  end(response, 200, webTextTypes.includes(type) ? toBase64(frame) : frame);
}

const unimplemented = "12";
const trailersFlag = 0x80;

function end(response: Response, status: number, body: string | Uint8Array = ""): void {
  response.statusCode = status;
  response.setHeader("content-length", Buffer.byteLength(body));
  // Only the types of end() differ.
  if (body === "") response.end();
  else (response as ServerResponse).end(body);
}
