import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { TurnCancelled } from "../core/async.ts";
import type {
  WebSocketCaller,
  WebSocketRefusal,
  WebSocketRequest,
  WebSocketRoute,
} from "../core/web-socket.ts";
import { findTargetProblem } from "./guard.ts";
import { type OpenSocket, openSocket, type SocketLimits } from "./open-socket.ts";

/** Which requests of HTTP/1.1 may become a WebSocket. */
export type UpgradeOptions = {
  readonly routes: readonly WebSocketRoute[];
  /** Whether the request's host may be used, and its page may call. */
  readonly permits: (request: IncomingMessage) => boolean;
  /** Admits a request by its token, or tells how it is refused. Everyone is admitted if absent. */
  readonly admit?: (
    request: IncomingMessage,
    authorization: string | undefined,
  ) => Promise<WebSocketAdmission>;
};

/** Who may open a WebSocket, or why nobody may. */
type WebSocketAdmission =
  | {
      readonly caller: WebSocketCaller;
      /** Counts a message of so many bytes. Throws `LimitExceeded`. */
      readonly countMessage?: (bytes: number) => void;
    }
  | { readonly refusal: WebSocketRefusal };

/** The WebSockets of a port. */
export type Upgrades = {
  /**
   * Whether the request becomes a WebSocket. Any other is answered as if it did not ask for one: so HTTP's
   * own checks refuse a foreign host, a foreign page or an unknown path, in their own words.
   */
  accepts(request: IncomingMessage): boolean;
  /** Opens what `accepts` has accepted. `head` is what came behind the request. */
  open(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Starts the timer that pings. It keeps no process alive. */
  start(): void;
  /** From now on accepts none. Those that are open go on. */
  goAway(): void;
  /** From now on accepts none, and closes those that are open (1001). */
  drain(): void;
  stop(): void;
};

/** Creates the WebSockets of a port; none are open. `onError` gets what a route throws. */
export function createUpgrades(
  options: UpgradeOptions,
  limits: SocketLimits & { readonly onError: (error: unknown) => void },
): Upgrades {
  const routes = new Map(options.routes.map((route) => [route.path, createServer(route)]));
  const open = new Map<WebSocket, OpenSocket>();
  let isDraining = false;
  let timer: NodeJS.Timeout | undefined;
  const find = (request: IncomingMessage) => routes.get(urlOf(request).pathname);

  const serve = async (webSocket: WebSocket, request: IncomingMessage, served: Served) => {
    const { route, caller, countMessage } = served;
    const rules = { revoked: caller.signal, ...(countMessage && { countMessage }) };
    const socket = openSocket(webSocket, request, { ...limits, ...rules });
    open.set(webSocket, socket);
    webSocket.once("close", () => open.delete(webSocket));
    try {
      await route.serve(socket.channel, toRequest(request), caller);
      webSocket.close(1000);
    } catch (error) {
      if (error instanceof TurnCancelled) return webSocket.close(1001, error.message);
      limits.onError(error);
      webSocket.close(1011, "internal error");
    }
  };
  return {
    accepts(request) {
      if (isDraining || request.method !== "GET") return false;
      if (request.headers.upgrade?.toLowerCase() !== "websocket") return false;
      if (findTargetProblem(request) || !options.permits(request)) return false;
      return find(request) !== undefined;
    },
    open(request, socket, head) {
      const found = find(request);
      if (!found) return void socket.destroy();
      const begin = (admission: WebSocketAdmission) => {
        if (socket.destroyed) return;
        if ("refusal" in admission) return refuse(socket, admission.refusal);
        const served = { route: found.route, ...admission };
        found.server.handleUpgrade(request, socket, head, (webSocket) => {
          void serve(webSocket, request, served);
        });
      };
      const fail = (error: unknown) => {
        limits.onError(error);
        socket.destroy();
      };
      admissionOf(request, found.route, options).then(begin, fail);
    },
    start() {
      const check = () => {
        for (const socket of open.values()) socket.check();
      };
      const intervalMs = Math.min(limits.pingIntervalMs, limits.stallTimeoutMs, 4000) / 4;
      timer = setInterval(check, intervalMs).unref();
    },
    goAway() {
      isDraining = true;
    },
    drain() {
      isDraining = true;
      // The routes first tell their clients of the turns that were just cancelled.
      setImmediate(() => {
        for (const webSocket of open.keys()) webSocket.close(1001, "the gateway is stopping");
      });
    },
    stop: () => clearInterval(timer),
  };
}

/** A connection's route, who opened it, and how its messages are counted. */
type Served = Exclude<WebSocketAdmission, { readonly refusal: unknown }> & {
  readonly route: WebSocketRoute;
};

const everyone = async (): Promise<WebSocketAdmission> => ({ caller: {} });

async function admissionOf(
  request: IncomingMessage,
  route: WebSocketRoute,
  { admit = everyone }: UpgradeOptions,
): Promise<WebSocketAdmission> {
  const asked = toRequest(request);
  const admission = await admit(request, route.authorizationOf?.(asked));
  const refusal = "caller" in admission && route.refuse?.(asked);
  return refusal ? { refusal } : admission;
}

/** Sound does not compress, and inflating would be one more budget to keep. */
function createServer(route: WebSocketRoute) {
  const { subprotocols = [], maxMessageBytes: maxPayload } = route;
  const handleProtocols = (offered: ReadonlySet<string>) =>
    subprotocols.find((name) => offered.has(name)) ?? false;
  const fixed = { noServer: true, clientTracking: false, perMessageDeflate: false } as const;
  return { route, server: new WebSocketServer({ ...fixed, maxPayload, handleProtocols }) };
}

function urlOf({ url = "" }: IncomingMessage): URL {
  return new URL(url, "http://localhost");
}

function toRequest(request: IncomingMessage): WebSocketRequest {
  return { url: urlOf(request), headers: request.headers, connection: request.socket };
}

function refuse(socket: Duplex, { status, body, headers = {} }: WebSocketRefusal): void {
  const text = JSON.stringify(body);
  const fields = {
    connection: "close",
    "content-type": "application/json; charset=utf-8",
    "content-length": `${Buffer.byteLength(text)}`,
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  // A client that reads nothing is not waited for.
  socket.once("finish", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${text}`);
}
