import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** Why a request goes no further: the rule, and what to change. */
export type Refusal = { readonly message: string };

const PERMISSION_DENIED = "7";

/**
 * Refuses a request in the form that its caller reads: gRPC's status, Connect's error or a route's
 * JSON. To HTTP it is 403, but for gRPC, whose clients take the status from a header of a 200. An
 * HTTP/1.1 connection is closed after it: nobody read the body.
 */
export function refuse(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  { message }: Refusal,
): void {
  if (request.httpVersionMajor === 1) response.setHeader("connection", "close");
  const type = request.headers["content-type"] ?? "";
  if (/^application\/grpc/i.test(type)) {
    response.setHeader("content-type", type);
    response.setHeader("grpc-status", PERMISSION_DENIED);
    response.setHeader("grpc-message", encodeURIComponent(message));
    response.end();
    return;
  }
  const error = { code: "permission_denied", message };
  response.statusCode = 403;
  response.setHeader("content-type", "application/json");
  // Connect's clients read the outer two, others the inner ones.
  response.end(JSON.stringify({ ...error, error }));
}
