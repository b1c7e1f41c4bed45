import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** Node's request handler, for HTTP/1.1 and for HTTP/2 in its compatible form. */
export type NodeHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void;

/** Which web origins may call, and with what. */
export type CorsOptions = {
  /** "*" for any. Pages on loopback always may. */
  readonly origins: readonly string[];
  /** Request headers that a page may set. */
  readonly allowedHeaders: readonly string[];
  /** Response headers that a page may read. */
  readonly exposedHeaders: readonly string[];
};

const PREFLIGHT_SECONDS = 7200;

/**
 * Lets web pages of the named origins call `handler`, and answers their preflight requests. A page
 * of any other origin gets no permission, so its browser keeps the answer from it.
 */
export function withCors(handler: NodeHandler, options: CorsOptions): NodeHandler {
  const allowed = new Set(options.origins);
  const permits = (origin: string) =>
    allowed.has("*") || allowed.has(origin) || isLoopbackOrigin(origin);
  return (request, response) => {
    const origin = request.headers.origin;
    response.setHeader("vary", "origin");
    if (origin !== undefined && permits(origin)) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", options.exposedHeaders.join(", "));
    }
    if (!isPreflight(request)) {
      handler(request, response);
      return;
    }
    if (origin !== undefined && permits(origin)) {
      response.setHeader("access-control-allow-methods", "GET, POST");
      response.setHeader("access-control-allow-headers", options.allowedHeaders.join(", "));
      response.setHeader("access-control-max-age", String(PREFLIGHT_SECONDS));
    }
    response.statusCode = 204;
    response.end();
  };
}

function isPreflight(request: IncomingMessage | Http2ServerRequest): boolean {
  return request.method === "OPTIONS" && "access-control-request-method" in request.headers;
}

function isLoopbackOrigin(origin: string): boolean {
  return /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(origin);
}
