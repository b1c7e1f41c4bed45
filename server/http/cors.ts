import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { authorityOf } from "./hosts.ts";
import { type Refusal, refuse } from "./refusal.ts";

type Request = IncomingMessage | Http2ServerRequest;

/** Node's request handler, for HTTP/1.1 and for HTTP/2 in its compatible form. */
export type NodeHandler = (
  request: Request,
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
 * of any other origin is refused, whatever it sends: its browser would keep the answer from it, but
 * the request would have done its work.
 */
export function withCors(handler: NodeHandler, options: CorsOptions): NodeHandler {
  const allowed = new Set(options.origins);
  const permits = (origin: string) =>
    allowed.has("*") || allowed.has(origin) || isLoopbackOrigin(origin);
  return (request, response) => {
    const origin = request.headers.origin;
    response.setHeader("vary", "origin");
    const refusal = allowed.has("*") ? undefined : findForeignPage(request, permits);
    if (refusal) {
      refuse(request, response, refusal);
      return;
    }
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

/**
 * Finds out a request that a browser sends for a page of an origin that may not call. `Origin`
 * names the page; browsers leave it out where a page asks without CORS by GET (`<img>`, `<script>`,
 * `<audio>`, `no-cors`), and there `Sec-Fetch-Site` tells. Programs send neither.
 */
function findForeignPage(
  request: Request,
  permits: (origin: string) => boolean,
): Refusal | undefined {
  const origin = request.headers.origin;
  if (origin !== undefined) {
    if (permits(origin) || isSameOrigin(origin, request)) return undefined;
    return { message: "pages of this origin may not call; CORS_ORIGINS can name it" };
  }
  const site = request.headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return undefined;
  if (isVisit(request)) return undefined;
  return { message: "pages of other origins may not call without CORS" };
}

/** The scheme is left out: behind a proxy that ends TLS, the gateway does not know its own. */
function isSameOrigin(origin: string, request: Request): boolean {
  const [, scheme, host] = /^(https?):\/\/(.+)$/.exec(origin) ?? [];
  return scheme !== undefined && new URL(`${scheme}://${authorityOf(request)}`).host === host;
}

const visitedPaths = new Set(["/", "/health", "/status"]);

/** Somebody followed a link to what is made to be looked at. It does nothing but show it. */
function isVisit({ method, url = "", headers }: Request): boolean {
  const [path = ""] = url.split("?", 1);
  return (
    method === "GET" &&
    headers["sec-fetch-mode"] === "navigate" &&
    headers["sec-fetch-dest"] === "document" &&
    visitedPaths.has(path)
  );
}

function isPreflight(request: Request): boolean {
  return request.method === "OPTIONS" && "access-control-request-method" in request.headers;
}

function isLoopbackOrigin(origin: string): boolean {
  return /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(origin);
}
