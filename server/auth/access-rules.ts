import type { Scope } from "./caller.ts";

/** What a request needs: nothing, any valid token, or a token with a scope. */
export type AccessRule = "open" | "token" | Scope;

/** The scope of each service's methods. */
const services: Readonly<Record<string, AccessRule>> = {
  "streaming.StreamingService": "speak",
  "parley.v1.ConversationService": "speak",
  "neira.agent.PythonAgentService": "agent",
  "audioanalyzer.AudioAnalysis": "analysis",
  "grpc.health.v1.Health": "open",
  "grpc.reflection.v1.ServerReflection": "reflection",
  "grpc.reflection.v1alpha.ServerReflection": "reflection",
};

/** Methods of the local agent that act on its machine, by scope. */
const agentMethods: Readonly<Record<string, Scope>> = {
  ProcessFile: "files",
  ListFiles: "files",
  DesktopClick: "desktop",
  DesktopType: "desktop",
  BrowserNavigate: "browser",
  BrowserClick: "browser",
  BrowserGetHTML: "browser",
};

const routes: Readonly<Record<string, AccessRule>> = {
  // The page. For JSON it is the same as /status.
  "/": "open",
  "/health": "open",
  "/livez": "open",
  "/readyz": "open",
  "/metrics": "metrics",
  "/status": "status",
  // The update feed: it holds nothing that is not published.
  "/appcast.xml": "open",
  "/appcast-beta.xml": "open",
  "/manifest.json": "open",
  "/downloads/:name": "open",
  "/api/versions": "open",
  "/api/manifests": "open",
  "/api/artifacts": "open",
  "/v1/speak": "speak",
  "/v1/speak/tickets": "speak",
  "/v1/screenshots/:id": "speak",
  // Of the front end whose users log in by themselves: there only with ANALYSIS_UPLOAD=sync.
  "/ping": "open",
  "/api/v1/users/register": "open",
  "/api/v1/users/login": "open",
  "/api/v1/audio/upload": "analysis",
  "/api/v1/audio/status/:id": "analysis",
  "/api/v1/audio/file/:id": "analysis",
  "/api/v1/history": "analysis",
  "/api/v1/history/:id": "analysis",
  "/v1/audio/speech": "speak",
  "/v1/audio/voices": "token",
  "/v1/chat/completions": "speak",
  "/v1/models": "token",
  "/v1/models/:model": "token",
  "/v1/realtime": "speak",
};

/** The rule of an RPC. Undefined for a service without one: nobody may call it. */
export function rpcRule(service: string, method: string): AccessRule | undefined {
  const own = service === "neira.agent.PythonAgentService" ? agentMethods[method] : undefined;
  return own ?? services[service];
}

/** The rule of a route. A path without one needs a token, then answers as it would without. */
export function routeRule(path: string): AccessRule {
  return routes[toPattern(path)] ?? "token";
}

/** The path as the routes name it. */
function toPattern(path: string): string {
  return path
    .replace(/^\/downloads\/[^/]+$/, "/downloads/:name")
    .replace(/^\/v1\/models\/[^/]+$/, "/v1/models/:model")
    .replace(/^\/api\/v1\/(audio\/status|audio\/file|history)\/[^/]+$/, "/api/v1/$1/:id")
    .replace(/^\/v1\/screenshots\/[^/]+$/, "/v1/screenshots/:id");
}
