import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import type { Analysis } from "../analysis/analysis-contract.ts";
import type { StoredObjects } from "../analysis/objects.ts";
import type { Users } from "../analysis/users.ts";
import type { Callers } from "../auth/gate.ts";
import type { Conversation } from "../conversation/conversation.ts";
import type { Screenshots } from "../conversation/screenshots.ts";
import type { Encoders } from "../encoding/encoders.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Releases } from "../updates/catalog.ts";
import type { NodeHandler } from "./access.ts";
import { analysisRoutes } from "./analysis.ts";
import { syncAnalysisRoutes } from "./analysis-sync.ts";
import { metricsRoutes } from "./metrics.ts";
import { type Page, pageRoutes } from "./page.ts";
import { problem, problemResponse, toProblem } from "./problem.ts";
import { checkRules } from "./route-rules.ts";
import { screenshotRoutes } from "./screenshots.ts";
import { speakRoutes } from "./speak.ts";
import { type GatewayStatus, healthRoutes, statusRoutes } from "./status.ts";
import { updateRoutes } from "./updates.ts";

/** The parts of the HTTP routes. */
export type RouteOptions = {
  readonly conversation: Conversation;
  readonly stores: {
    readonly screenshots?: Screenshots;
    readonly analysis: Analysis;
    readonly objects: StoredObjects;
    /** Users of the front end that logs in by itself: its routes stand in the place of the others. */
    readonly users?: Users;
  };
  /** The address of a request's client. */
  readonly addressOf: (incoming: object) => string;
  /** Other vendors' routes; each answers its own errors. None if absent. */
  readonly doors?: readonly DoorRoutes[];
  readonly page: Page;
  readonly readStatus: () => GatewayStatus;
  /** Who sends which request. */
  readonly callers: Callers;
  readonly encoders: Encoders;
  readonly releases: Releases;
  readonly metrics: Pick<Metrics, "render">;
  /** Fires when the gateway begins to stop. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
};

/** What a door adds. */
type DoorRoutes = {
  readonly routes: Hono<{ Bindings: Bindings }>;
  /** Paths that speak WebSocket; the port opens them. */
  readonly webSockets: readonly { readonly path: string }[];
};

/** Serves every path that is not an RPC. */
export function createHttpHandler(options: RouteOptions): NodeHandler {
  return toHandler(createRoutes(options));
}

/** The routes. An unknown path is 404 as JSON. */
export function createRoutes(options: RouteOptions): Hono {
  const routes = new Hono();
  routes.use(
    checkRules(options.callers, {
      page: options.page,
      usersLogIn: options.stores.users !== undefined,
    }),
  );
  const { doors = [] } = options;
  const more = doors.flatMap(endpointsOf);
  routes.route("/", statusRoutes(options.readStatus, options.stopping, more));
  routes.route("/", speakRoutes(options));
  routes.route("/", screenshotRoutes(options.stores.screenshots, options.callers));
  routes.route("/", uploadRoutes(options));
  routes.route("/", metricsRoutes(options.metrics));
  routes.route("/", updateRoutes(options.releases));
  for (const door of doors) routes.route("/", door.routes);
  routes.route("/", pageRoutes(options.page));
  return withProblems(routes, options.logger);
}

function uploadRoutes({ stores, callers, addressOf }: RouteOptions): Hono {
  const { users } = stores;
  return users
    ? syncAnalysisRoutes({ ...stores, users, addressOf })
    : analysisRoutes({ ...stores, callers });
}

/** The parts of the routes of the update feed's own port. */
export type UpdateOptions = Pick<RouteOptions, "releases" | "stopping" | "logger">;

/** Serves the update feed and `/health`, and nothing else. */
export function createUpdateHandler({ releases, stopping, logger }: UpdateOptions): NodeHandler {
  const routes = new Hono();
  routes.route("/", healthRoutes(stopping));
  routes.route("/", updateRoutes(releases));
  return toHandler(withProblems(routes, logger));
}

function toHandler({ fetch }: Hono): NodeHandler {
  return getRequestListener(fetch, { overrideGlobalObjects: false }) as NodeHandler;
}

/** Answers unknown paths, wrong methods and errors with problems. */
function withProblems(routes: Hono, logger: Logger): Hono {
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
      logger.info({}, "client disconnected before its request was complete");
      return problemResponse(problem(499, "canceled", "the client disconnected"));
    }
    const answer = toProblem(error);
    if (answer.status === 500) logger.error({ error: error.message }, "a request failed");
    return problemResponse(answer);
  });
  return routes;
}

/** A door's endpoints as `/status` lists them. */
function endpointsOf({ routes, webSockets }: DoorRoutes): readonly string[] {
  const paths = routes.routes.map(({ method, path }) => `${method} ${path}`);
  return [...new Set(paths), ...webSockets.map(({ path }) => `WebSocket ${path}`)];
}

/** The methods that a path accepts, sorted. Empty if the path is unknown. */
function methodsOf({ routes }: Hono, path: string): readonly string[] {
  const methods = new Set(
    routes.filter((route) => serves(route.path, path)).map(({ method }) => method),
  );
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].sort();
}

/** A route's path may end in a parameter. */
function serves(route: string, path: string): boolean {
  const [before = "", parameter] = route.split("/:", 2);
  if (parameter === undefined) return route === path;
  return path.startsWith(`${before}/`) && /^[^/]+$/.test(path.slice(before.length + 1));
}

type Bindings = HttpBindings | Http2Bindings;

function hasDisconnected({ incoming, outgoing }: Bindings): boolean {
  return incoming.aborted || outgoing.destroyed;
}
