import type { Context, MiddlewareHandler } from "hono";
import { accepts } from "hono/accepts";
import { type AccessRule, routeRule } from "../auth/access-rules.ts";
import { type Callers, requireScope } from "../auth/gate.ts";
import type { Page } from "./page.ts";

/** What a rule depends on. */
export type RuledRequest = {
  readonly method: string;
  readonly path: string;
  /** Without its question mark. */
  readonly query: string;
  readonly accept: string | undefined;
};

/** What the rules depend on beside the request. */
export type RuledRoutes = {
  readonly page: Page;
  /** The routes of the analysis check the tokens of their own users (analysis-sync.ts). */
  readonly usersLogIn: boolean;
};

/** The rule of a request that is no RPC. */
export function ruleOfRequest(
  { method, path, query, accept }: RuledRequest,
  { page, usersLogIn }: RuledRoutes,
): AccessRule {
  if (path === "/" && prefersStatus(accept)) return "status";
  if (page.has(path)) return "open";
  // A ticket takes the place of a token.
  const isRead = method === "GET" || method === "HEAD";
  const hasTicket = path === "/v1/speak" && new URLSearchParams(query).has("ticket");
  if (isRead && hasTicket) return "open";
  const rule = routeRule(path);
  return usersLogIn && rule === "analysis" ? "open" : rule;
}

/**
 * Checks the rule of each request once more, by the path that the routes see: the gate has read it as it
 * was sent, and `http://host/status` or `/%73tatus` is `/status` too.
 */
export function checkRules(callers: Callers, routes: RuledRoutes): MiddlewareHandler {
  return async (context, next) => {
    const { method, path, url } = context.req;
    const query = new URL(url).search.slice(1);
    const request = { method, path, query, accept: context.req.header("accept") };
    requireScope(callers.callerOf(context.env.incoming), ruleOfRequest(request, routes));
    await next();
  };
}

/** Whether a request for `/` asks for the status rather than the page. */
export function prefersStatus(accept: string | undefined): boolean {
  return preferred(accept, "text/html", "application/json") === "application/json";
}

/** Whether a request for `/status` asks for a page rather than JSON. */
export function prefersPage(accept: string | undefined): boolean {
  return preferred(accept, "application/json", "text/html") === "text/html";
}

/** The one of two types that is wanted more; the first if neither is. */
function preferred(accept: string | undefined, first: string, second: string): string {
  // The one thing that Hono reads of the context.
  const context = { req: { header: () => accept } } as unknown as Context;
  return accepts(context, { header: "Accept", supports: [first, second], default: first });
}
