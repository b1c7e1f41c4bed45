import { Hono } from "hono";
import packageJson from "../../package.json" with { type: "json" };
import type { AgentStatus } from "../agent/agent.ts";
import type { AnalysisStatus } from "../analysis/analysis-contract.ts";
import type { RedisStatus } from "../cluster/redis-contract.ts";
import type { MemoryStatus } from "../conversation/memory/memory.ts";
import type { ResumableStatus } from "../conversation/resumable-turns.ts";
import type { ScreenshotStatus } from "../conversation/screenshots.ts";
import type { TurnStatistics } from "../conversation/turn-statistics.ts";
import type { RateLimits } from "../limits/rate-limits.ts";
import type { StorageStatus } from "../storage/storage-contract.ts";
import type { Activity, CallStatistics } from "../telemetry/activity.ts";
import type { UsageTotal } from "../telemetry/usage.ts";
import { prefersPage, prefersStatus } from "./route-rules.ts";
import { answerStatusPage, type ModuleStatus } from "./status-page.ts";

/** A provider's state. */
export type ProviderStatus = CallStatistics & {
  readonly name: string;
  readonly kind: "text" | "speech";
  /** Of a voice: the first parts of the BCP 47 tags that it speaks. Absent: any language. */
  readonly languages?: readonly string[];
  /** Of a voice: the names that a request's `voice` may have, the default one first. */
  readonly voices?: readonly string[];
  /** OPEN: calls are skipped for a while after failures. HALF_OPEN: the next call decides. */
  readonly breaker: "CLOSED" | "OPEN" | "HALF_OPEN";
};

/** What `/status` answers. */
export type GatewayStatus = {
  readonly name: "parley";
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Turns in progress. */
  readonly activeSessions: number;
  readonly providers: readonly ProviderStatus[];
  /** What `StreamRequest.audio_format` may be, by the contract's names. */
  readonly audioFormats: readonly ("PCM_S16LE" | "OPUS")[];
  /** Every part with a state of its own: each tier, and what may be missing while the gateway works. */
  readonly modules: readonly (ModuleStatus & Partial<Pick<AgentStatus, "restarts" | "metrics">>)[];
  /** How often a provider took over from one that failed in the same turn. */
  readonly failovers: ReturnType<Activity["failovers"]>;
  /** Turns by how they ended since the start. */
  readonly turns: Readonly<Record<string, number>>;
  /** Turns in progress, and those that were cut short. */
  readonly sessions: TurnStatistics;
  /** Tokens that clients reported since the start, by source and model, without device names. */
  readonly usage: readonly UsageTotal[];
  /** What several gateways share. */
  readonly redis: RedisStatus;
  readonly limits: LimitStatus;
  /** The certificate that the ports show; `off` in plain text. */
  readonly tls: TlsStatus | Off;
  /** Turns that outlive their connection. */
  readonly resumable: ResumableStatus;
  /** The database, or `off` where nothing is stored. */
  readonly storage: StorageStatus | Off;
  /** What is remembered of users. */
  readonly memory: MemoryStatus | Off;
  /** The pictures that devices sent. */
  readonly screenshots: ScreenshotStatus | Off;
  /** The analysis of sound: its model, and its tasks. */
  readonly analysis: AnalysisStatus & { readonly uploads: "task" | "sync" };
};

/** As the certificate tells it. */
type TlsStatus = {
  /** `degraded`: it has expired, or its files hold a pair that was refused. */
  readonly state: "ok" | "degraded";
  /** The end of its time: ISO 8601. */
  readonly validTo: string;
  /** Why the latest pair was refused, if it was. */
  readonly lastError?: string;
};

/** How requests are limited. */
type LimitStatus = {
  /**
   * Where requests and bytes are counted: `redis` for all gateways together; `process` for this one alone,
   * also while Redis is down.
   */
  readonly store: "redis" | "process";
  /** Requests that were refused since the start, by limit. */
  readonly refused: ReturnType<RateLimits["refused"]>;
};

type Off = { readonly state: "off" };

const endpoints = [
  "POST /streaming.StreamingService/StreamAudio",
  "POST /streaming.StreamingService/InterruptSession",
  "POST /streaming.StreamingService/GenerateWelcomeAudio",
  "POST /streaming.StreamingService/ReportUsage",
  "POST /parley.v1.ConversationService/ReportPlayback",
  "POST /parley.v1.ConversationService/ListMemories",
  "POST /parley.v1.ConversationService/ForgetMemory",
  "POST /neira.agent.PythonAgentService/{method}",
  "GET /grpc.health.v1.Health/Check",
  "POST /audioanalyzer.AudioAnalysis/AnalyzeAudio",
  "POST /api/v1/audio/upload",
  "GET /api/v1/audio/status/{task_id}",
  "GET /api/v1/audio/file/{task_id}",
  "GET /api/v1/history",
  "DELETE /api/v1/history",
  "GET /api/v1/history/{id}",
  "DELETE /api/v1/history/{id}",
  "POST /v1/speak",
  "GET /v1/speak",
  "POST /v1/speak/tickets",
  "GET /v1/screenshots/{id}",
  "GET /health",
  "GET /livez",
  "GET /readyz",
  "GET /metrics",
  "GET /status",
  "GET /appcast.xml",
  "GET /appcast-beta.xml",
  "GET /manifest.json",
  "GET /downloads/{name}",
  "GET /api/versions",
  "GET /api/manifests",
  "GET /api/artifacts",
  "GET /",
];

/** What `/health` answers: the probe of every port. */
export function healthRoutes(stopping: AbortSignal): Hono {
  return new Hono().get("/health", (context) =>
    stopping.aborted
      ? context.json({ status: "stopping" }, 503)
      : context.json({ status: "ok", version: packageJson.version }),
  );
}

/**
 * `GET /health`, `GET /readyz`: 200 while the gateway takes new turns, 503 while it stops.
 * `GET /livez`: 200 while the process answers at all.
 * `GET /status`: what is running, with statistics, as JSON, or as a page if `Accept` prefers HTML.
 * `GET /` answers the JSON if `Accept` prefers it.
 * `more` endpoints are listed after the gateway's own.
 */
export function statusRoutes(
  read: () => GatewayStatus,
  stopping: AbortSignal,
  more: readonly string[] = [],
): Hono {
  const all = { endpoints: [...endpoints, ...more] };
  const routes = new Hono();
  routes.get("/livez", (context) => context.json({ status: "ok" }));
  routes.get("/readyz", (context) =>
    stopping.aborted ? context.json({ status: "stopping" }, 503) : context.json({ status: "ok" }),
  );
  routes.route("/", healthRoutes(stopping));
  routes.get("/status", async (context): Promise<Response> => {
    context.header("vary", "accept, origin");
    context.header("cache-control", "no-store");
    const status = { ...read(), ...all };
    if (prefersPage(context.req.header("accept"))) return answerStatusPage(context, status);
    return context.json(status);
  });
  routes.get("/", async (context, next) => {
    context.header("vary", "accept, origin");
    if (!prefersStatus(context.req.header("accept"))) return await next();
    return context.json({ ...read(), ...all });
  });
  return routes;
}
