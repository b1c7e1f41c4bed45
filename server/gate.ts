import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type AccessRule, rpcRule } from "./auth/access-rules.ts";
import type { Authenticator } from "./auth/authenticator.ts";
import type { AccessDenied } from "./auth/caller.ts";
import { createGate, type Gate } from "./auth/gate.ts";
import type { Config } from "./config/config.ts";
import { isLoopback } from "./config/config-sources.ts";
import type { WebSocketRefusal } from "./core/web-socket.ts";
import type { Page } from "./http/page.ts";
import { deniedStatuses } from "./http/problem.ts";
import { type RuledRoutes, ruleOfRequest } from "./http/route-rules.ts";
import { refuse } from "./rpc/refusals.ts";
import type { RpcRequest } from "./rpc/request-body.ts";
import { toStatus } from "./rpc/status.ts";
import { createClientAddress } from "./transport/addresses.ts";

/** What a gate stands in front of. */
export type GateParts = {
  /** Checks tokens. Absent without authentication. */
  readonly authenticator?: Authenticator | undefined;
  readonly services: readonly DescService[];
  readonly page: Page;
};

/** Opens the gate that every request passes, by the rules of the RPCs and the routes. */
export function openGate({ trustedProxies, analysis }: Config, parts: GateParts): Gate {
  const addressOf = createClientAddress(trustedProxies);
  return createGate({
    authenticator: parts.authenticator,
    ruleOf: createRuleOf({ ...parts, usersLogIn: analysis.uploads === "sync" }),
    isLocal: (request) => isLoopback(addressOf(request)),
    refuse(request, response, denied) {
      const status = deniedStatuses[denied.kind];
      const { code, rawMessage: message } = toStatus(denied);
      if (status === 401) response.setHeader("www-authenticate", "Bearer");
      const reason = denied.kind.toUpperCase();
      refuseUnread(request, response, { status, code, message, reason });
    },
  });
}

/** Refuses a request whose body nobody reads: nothing more can be sent on an HTTP/1.1 connection. */
export const refuseUnread: typeof refuse = (request, response, refusal) => {
  if (request.httpVersionMajor === 1) response.setHeader("connection", "close");
  refuse(request, response, refusal);
};

/** Refuses a request for a WebSocket, in the words and the shape of HTTP's other refusals. */
export function upgradeRefusal(denied: AccessDenied): WebSocketRefusal {
  const status = deniedStatuses[denied.kind];
  const headers = status === 401 ? { headers: { "www-authenticate": "Bearer" } } : {};
  const error = { code: denied.kind, message: denied.message };
  return { status, body: { error }, ...headers };
}

/** The paths of the RPCs of some services. */
export function rpcPathsOf(services: readonly DescService[]): ReadonlySet<string> {
  const pathsOf = ({ typeName, methods }: DescService) =>
    methods.map(({ name }) => `/${typeName}/${name}`);
  return new Set(services.flatMap(pathsOf));
}

/** Finds the rule of a request: that of the RPC or the route at its path. */
function createRuleOf({ services, ...routes }: GateParts & RuledRoutes) {
  const rpcs = new Map(
    services
      .flatMap(({ methods }): readonly DescMethod[] => methods)
      .map(({ parent, name }) => [`/${parent.typeName}/${name}`, rpcRule(parent.typeName, name)]),
  );
  return ({ method = "", url = "", headers }: RpcRequest): AccessRule | undefined => {
    const [path = "", query = ""] = url.split("?", 2);
    if (rpcs.has(path)) return rpcs.get(path);
    return ruleOfRequest({ method, path, query, accept: headers.accept }, routes);
  };
}
