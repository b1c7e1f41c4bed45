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

/** The rule of a request that is no RPC. */
export function ruleOfRequest(
  { method, path, query, accept }: RuledRequest,
  page: Page,
): AccessRule {
  if (path === "/" && prefersStatus(accept)) return "status";
  if (page.has(path)) return "open";
  // A ticket takes the place of a token.
  const isRead = method === "GET" || method === "HEAD";
  const hasTicket = path === "/v1/speak" && new URLSearchParams(query).has("ticket");
  return isRead && hasTicket ? "open" : routeRule(path);
}

/**
 * Checks the rule of each request once more, by the path that the routes see: the gate has read it as it
 * was sent, and `http://host/status` or `/%73tatus` is `/status` too.
 */
export function checkRules(callers: Callers, page: Page): MiddlewareHandler {
  return async (context, next) => {
    const { method, path, url } = context.req;
    const query = new URL(url).search.slice(1);
    const request = { method, path, query, accept: context.req.header("accept") };
    requireScope(callers.callerOf(context.env.incoming), ruleOfRequest(request, page));
    await next();
  };
}

/** Whether a request for `/` asks for the status rather than the page. */
export function prefersStatus(accept: string | undefined): boolean {
  // The one thing that Hono reads of the context.
  const context = { req: { header: () => accept } } as unknown as Context;
  const supports = ["text/html", "application/json"];
  const wanted = accepts(context, { header: "Accept", supports, default: "text/html" });
  return wanted === "application/json";
}
