import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { Conversation } from "../conversation/conversation.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { NodeHandler } from "./access.ts";
import { type Page, pageRoutes } from "./page.ts";
import { problem, problemResponse, toProblem } from "./problem.ts";
import { speakRoutes } from "./speak.ts";
import { type GatewayStatus, statusRoutes } from "./status.ts";

/** The parts of the HTTP routes. */
export type RouteOptions = {
  readonly conversation: Conversation;
  readonly page: Page;
  readonly readStatus: () => GatewayStatus;
  /** Fires when the gateway begins to stop. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
};

/** Serves every path that is not an RPC. An unknown path is 404 as JSON. */
export function createHttpHandler(options: RouteOptions): NodeHandler {
  const routes = new Hono();
  routes.route("/", statusRoutes(options.readStatus, options.stopping));
  routes.route("/", speakRoutes(options.conversation));
  routes.route("/", pageRoutes(options.page));
  routes.notFound(({ req }) => {
    const methods = methodsOf(routes, req.path);
    if (methods.length === 0) {
      return problemResponse(problem(404, "not_found", `there is nothing at ${req.path}`));
    }
    const allow = methods.join(", ");
    const refusal = problem(405, "unimplemented", `${req.path} takes ${allow} only`);
    return problemResponse(refusal, { allow });
  });
  routes.onError((error, context) => {
    if (hasDisconnected(context.env as Bindings)) {
      options.logger.info({}, "client disconnected before its request was complete");
      return problemResponse(problem(499, "canceled", "the client disconnected"));
    }
    const answer = toProblem(error);
    if (answer.status === 500) options.logger.error({ error: error.message }, "a request failed");
    return problemResponse(answer);
  });
  return getRequestListener(routes.fetch, { overrideGlobalObjects: false }) as NodeHandler;
}

/** The methods that a path accepts, sorted. Empty if the path is unknown. */
function methodsOf({ routes }: Hono, path: string): readonly string[] {
  const methods = new Set(
    routes.filter((route) => route.path === path).map(({ method }) => method),
  );
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].sort();
}

type Bindings = HttpBindings | Http2Bindings;

function hasDisconnected({ incoming, outgoing }: Bindings): boolean {
  return incoming.aborted || outgoing.destroyed;
}
