import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { Conversation } from "../conversation/conversation.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { NodeHandler } from "./cors.ts";
import { type Page, pageRoutes } from "./page.ts";
import { problem, problemResponse, toProblem } from "./problem.ts";
import { speakRoutes } from "./speak.ts";
import { type GatewayStatus, statusRoutes } from "./status.ts";

/** What the HTTP side is made of. */
export type RouteOptions = {
  readonly conversation: Conversation;
  readonly page: Page;
  readonly readStatus: () => GatewayStatus;
  /** Fires when the gateway begins to stop. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
};

/** Everything that is served beside the RPCs. What is not there is 404 as JSON. */
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
    if (hasLeft(context.env as Bindings)) {
      options.logger.info({}, "a client left before its request was whole");
      return problemResponse(problem(499, "canceled", "the client left"));
    }
    const answer = toProblem(error);
    if (answer.status === 500) options.logger.error({ error: error.message }, "a request failed");
    return problemResponse(answer);
  });
  return getRequestListener(routes.fetch, { overrideGlobalObjects: false }) as NodeHandler;
}

/** The methods that a path takes, sorted; none if there is no such path. */
function methodsOf({ routes }: Hono, path: string): readonly string[] {
  const methods = new Set(
    routes.filter((route) => route.path === path).map(({ method }) => method),
  );
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].sort();
}

type Bindings = HttpBindings | Http2Bindings;

function hasLeft({ incoming, outgoing }: Bindings): boolean {
  return incoming.aborted || outgoing.destroyed;
}
