import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { isIP } from "node:net";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** A request handler for Node's HTTP/1.1 server and its HTTP/2 server in the compatibility API. */
export type NodeHandler = (request: Request, response: Response) => void | Promise<void>;

/** Who may call a gateway. */
export type AccessOptions = {
  /** Host names in lower case: `voice.example`, or with a port, `voice.example:8080`. */
  readonly allowedHosts: readonly string[];
  /** Whether every other host name is served too. */
  readonly servesAnyHost: boolean;
  /** Web origins that may call. "*" allows any. Pages on loopback always may. */
  readonly corsOrigins: readonly string[];
  /** Set if clients come over TLS. */
  readonly tls?: object;
  /** Request headers that a page may set. */
  readonly allowedHeaders: readonly string[];
  /** Response headers that a page may read. */
  readonly exposedHeaders: readonly string[];
  /** Answers a request that may not go on. `message` says which setting would allow it. */
  readonly refuse: (request: Request, response: Response, message: string) => void;
};

/** The hosts and origins of `AccessOptions`. */
export type AccessRules = Pick<
  AccessOptions,
  "allowedHosts" | "servesAnyHost" | "corsOrigins" | "tls"
>;

const PREFLIGHT_SECONDS = 7200;

/**
 * Creates the check of requests for a WebSocket: browsers let any page open one, and apply no CORS to it.
 * A request that fails it is refused by `withAccess`, which has the words for it.
 */
export function createUpgradeCheck(rules: AccessRules): (request: Request) => boolean {
  const findForeignHost = createHostRule(rules);
  const { findForeign } = createPageRule(rules);
  return (request) => findForeignHost(request) === undefined && findForeign(request) === undefined;
}

/** The rule for the page that a request comes from. */
function createPageRule({ corsOrigins }: AccessRules) {
  const origins = new Set(corsOrigins);
  const allowsAny = origins.has("*");
  const permits = (origin: string) => allowsAny || origins.has(origin) || isLoopbackOrigin(origin);
  const findForeign = (request: Request) =>
    allowsAny ? undefined : findForeignPage(request, permits);
  return { permits, findForeign };
}

/**
 * Wraps a handler: refuses hosts that are not the gateway's and pages that may not call, sets CORS
 * headers for those that may, and answers preflight requests. A foreign page is refused whatever it
 * sends: its browser would hide the response, but the request would already have had its effect.
 */
export function withAccess(handler: NodeHandler, options: AccessOptions): NodeHandler {
  const findForeignHost = createHostRule(options);
  const { permits, findForeign } = createPageRule(options);
  return (request, response) => {
    const foreignHost = findForeignHost(request);
    if (foreignHost !== undefined) {
      options.refuse(request, response, foreignHost);
      return undefined;
    }
    response.setHeader("vary", "origin");
    const foreignPage = findForeign(request);
    if (foreignPage !== undefined) {
      options.refuse(request, response, foreignPage);
      return undefined;
    }
    const { origin } = request.headers;
    const isAllowedPage = origin !== undefined && permits(origin);
    if (isAllowedPage) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", options.exposedHeaders.join(", "));
    }
    if (!isPreflight(request)) return handler(request, response);
    if (isAllowedPage) {
      response.setHeader("access-control-allow-methods", "GET, POST, DELETE");
      response.setHeader("access-control-allow-headers", options.allowedHeaders.join(", "));
      response.setHeader("access-control-max-age", String(PREFLIGHT_SECONDS));
    }
    response.statusCode = 204;
    response.end();
    return undefined;
  };
}

/**
 * Creates the rule for the host that a request names. Addresses, loopback names and allowed hosts are
 * served. Another name may belong to an attacker who points it to this machine (DNS rebinding): for
 * the browser, the attacker's page and the gateway would share an origin. Returns the problem, if any.
 */
function createHostRule({ allowedHosts, servesAnyHost, tls }: AccessRules) {
  const defaultPort = tls ? 443 : 80;
  const allowed = new Set(allowedHosts);
  const serves = ({ hostname, port }: URL) => {
    const name = hostname.replace(/\.$/, "");
    return (
      isAddress(name) ||
      isLoopbackName(name) ||
      allowed.has(name) ||
      allowed.has(`${name}:${port || defaultPort}`)
    );
  };
  // Most requests of a gateway name the same host.
  let served: string | undefined;
  return (request: Request): string | undefined => {
    if (servesAnyHost) return undefined;
    const authority = authorityOf(request);
    const isPlain = plainTarget.test(request.url ?? "");
    if (isPlain && authority === served) return undefined;
    const base = new URL(`http://${authority}`);
    const refused = (isPlain ? [base] : requestedUrls(request, base)).find((url) => !serves(url));
    if (refused) {
      return `the host ${refused.hostname} is not served here; ALLOWED_HOSTS can name it`;
    }
    if (isPlain) served = authority;
    return undefined;
  };
}

// A path that cannot name a host, as those of RPCs.
const plainTarget = /^(\/[\w.-]+)+$/;

/** An absolute target (`GET http://name/`) counts as well: the routes use its host. */
function requestedUrls(request: Request, base: URL): readonly URL[] {
  const target = new URL(request.url ?? "", base);
  return target.host === base.host ? [base] : [base, target];
}

/** `:authority` or `Host`. The port has checked that it makes a URL. */
function authorityOf(request: Request): string {
  const authority = "authority" in request ? request.authority : request.headers.host;
  return authority ?? "";
}

function isAddress(name: string): boolean {
  return isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

/** RFC 6761 reserves every name under `.localhost` for loopback. */
function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/**
 * The problem with a browser's request for a page that may not call, if any. `Origin` names the page.
 * Browsers omit it for a GET without CORS (`<img>`, `<script>`, `<audio>`, `no-cors`); they then send
 * `Sec-Fetch-Site`. Programs send neither.
 */
function findForeignPage(
  request: Request,
  permits: (origin: string) => boolean,
): string | undefined {
  const { origin } = request.headers;
  if (origin !== undefined) {
    if (permits(origin) || isSameOrigin(origin, request)) return undefined;
    return "pages of this origin may not call; CORS_ORIGINS can name it";
  }
  const site = request.headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return undefined;
  if (isVisit(request)) return undefined;
  return "pages of other origins may not call without CORS";
}

/** Ignores the scheme: behind a proxy that terminates TLS, the gateway does not know its own. */
function isSameOrigin(origin: string, request: Request): boolean {
  const [, scheme, host] = /^(https?):\/\/(.+)$/.exec(origin) ?? [];
  return scheme !== undefined && new URL(`${scheme}://${authorityOf(request)}`).host === host;
}

const visitedPaths = new Set(["/", "/health", "/livez", "/readyz", "/status"]);

/** Whether somebody followed a link to a page that only shows something, or to a download. */
function isVisit({ method, url = "", headers }: Request): boolean {
  const [path = ""] = url.split("?", 1);
  return (
    method === "GET" &&
    headers["sec-fetch-mode"] === "navigate" &&
    headers["sec-fetch-dest"] === "document" &&
    (visitedPaths.has(path) || path.startsWith("/downloads/"))
  );
}

function isPreflight(request: Request): boolean {
  return request.method === "OPTIONS" && "access-control-request-method" in request.headers;
}

function isLoopbackOrigin(origin: string): boolean {
  return /^https?:\/\/(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(origin);
}
