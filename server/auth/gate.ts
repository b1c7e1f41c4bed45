import type { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import { TurnCancelled } from "../core/async.ts";
import type { AccessRule } from "./access-rules.ts";
import type { Authenticator } from "./authenticator.ts";
import { AccessDenied, anonymousCaller, type Caller, localCaller, remoteCaller } from "./caller.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;
type Handle = (request: Request, response: Response) => void | Promise<void>;

/** What the gate checks requests with. */
export type GateOptions = {
  /** Absent without authentication. */
  readonly authenticator?: Authenticator | undefined;
  /** What a request needs. Undefined: nobody may send it. */
  readonly ruleOf: (request: Request) => AccessRule | undefined;
  /** Whether a request comes from this machine. */
  readonly isLocal: (request: Request) => boolean;
  /** Answers a request that may not go on. */
  readonly refuse: (request: Request, response: Response, denied: AccessDenied) => void;
};

/** Who sends which request. */
export type Callers = {
  /** The caller of a request that passed the gate. */
  callerOf(request: object): Caller;
  /**
   * Makes the request one of the caller's own, as a ticket does that the caller got before. Returns the
   * caller of this request. Throws `AccessDenied` if its token was revoked.
   */
  adopt(request: object, caller: Caller): Caller;
};

/** The gate in front of every handler. */
export type Gate = Callers & {
  /**
   * Admits a request for a WebSocket, which no handler sees. `authorization` stands for the header of that
   * name, where a client puts its token elsewhere. Throws `AccessDenied`.
   */
  admitUpgrade(request: IncomingMessage, authorization: string | undefined): Promise<Caller>;
  /** Wraps a handler: it sees no request that may not go on. No body has been read by then. */
  guard(handler: Handle): Handle;
};

/** How long a request of a revoked token may take to end by itself. */
const REVOKED_GRACE_MS = 2000;

/** A request in progress whose token may be revoked. */
type Live = {
  readonly request: Request;
  readonly caller: Caller;
  readonly controller: AbortController;
};

/** Creates the gate. Without an authenticator everyone passes it. */
export function createGate(options: GateOptions): Gate {
  const { authenticator } = options;
  const callers = new WeakMap<object, Caller>();
  const live = new Set<Live>();
  const responses = new WeakMap<object, Response>();

  authenticator?.onChange(() => {
    for (const each of live) if (!authenticator.isValid(each.caller)) revoke(each);
  });

  /** Ends a request: its turn at once, with a status; whatever does not end by itself is cut off. */
  const revoke = (entry: Live) => {
    entry.controller.abort(new TurnCancelled("revoked"));
    const check = () => live.has(entry) && cutOff(entry.request);
    setTimeout(check, REVOKED_GRACE_MS).unref();
  };
  /** Notes the caller. If its token can be revoked, the request ends with it. */
  const admit = (request: Request, ending: EventEmitter, caller: Caller): Caller => {
    if (caller.tokenId === undefined) {
      callers.set(request, caller);
      return caller;
    }
    const controller = new AbortController();
    const admitted = { ...caller, signal: controller.signal };
    const entry = { request, caller, controller };
    callers.set(request, admitted);
    live.add(entry);
    ending.once("close", () => live.delete(entry));
    return admitted;
  };

  return {
    callerOf: (request) => callers.get(request) ?? anonymousCaller,
    adopt(request, caller) {
      const response = responses.get(request);
      if (response === undefined) return caller;
      if (authenticator?.isValid(caller) === false) {
        throw new AccessDenied("unauthenticated", "the token was revoked");
      }
      return admit(request as Request, response, caller);
    },
    admitUpgrade: async (request, authorization) =>
      admit(request, request.socket, await identify(request, options, authorization)),
    guard: (handler) => (request, response) => {
      responses.set(request, response);
      const pass = (caller: Caller) => {
        // The adapter would wait for a `close` that has been.
        if (response.destroyed) return undefined;
        admit(request, response, caller);
        return handler(request, response);
      };
      const refuse = (error: unknown) => {
        if (!(error instanceof AccessDenied)) throw error;
        if (!response.destroyed) options.refuse(request, response, error);
      };
      try {
        const caller = identify(request, options);
        return caller instanceof Promise ? caller.then(pass, refuse) : pass(caller);
      } catch (error) {
        return refuse(error);
      }
    },
  };
}

/** The caller of a request that may go on. Throws `AccessDenied`. */
function identify(
  request: Request,
  { authenticator, ruleOf, isLocal }: GateOptions,
  authorization = request.headers.authorization,
): Caller | Promise<Caller> {
  const rule = ruleOf(request);
  if (rule === "open") return anonymousCaller;
  if (authenticator === undefined) {
    return requireScope(isLocal(request) ? localCaller : remoteCaller, rule);
  }
  const caller = authenticator.authenticate(authorization);
  if (caller instanceof Promise) return caller.then((each) => requireScope(each, rule));
  return requireScope(caller, rule);
}

/** Returns the caller if it may send what has this rule; undefined is for nobody. Throws `AccessDenied`. */
export function requireScope(caller: Caller, rule: AccessRule | undefined): Caller {
  if (rule === undefined) {
    throw new AccessDenied("permission_denied", "no token allows this");
  }
  if (rule === "open" || rule === "token" || caller.scopes.has(rule)) return caller;
  const message =
    caller.tokenId === undefined && caller.deviceId === undefined
      ? `without tokens, ${rule} is for this machine alone`
      : `the token lacks the scope ${rule}`;
  throw new AccessDenied("permission_denied", message);
}

function cutOff(request: Request): void {
  if (!("stream" in request)) request.socket.destroy();
  else if (!request.stream.destroyed) request.stream.close(constants.NGHTTP2_CANCEL);
}
