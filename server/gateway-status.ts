import packageJson from "../package.json" with { type: "json" };
import type { Agent } from "./agent/agent.ts";
import type { Cluster } from "./cluster-parts.ts";
import type { ActiveTurns } from "./conversation/active-turns-contract.ts";
import type { Conversation } from "./conversation/conversation.ts";
import type { Tier } from "./failover/tier.ts";
import type { GatewayStatus } from "./http/status.ts";
import type { ModuleStatus } from "./http/status-page.ts";
import type { RateLimits } from "./limits/rate-limits.ts";
import type { Synthesizer } from "./models/synthesizer.ts";
import type { Ports } from "./ports.ts";
import type { Stores } from "./stores.ts";
import type { Activity } from "./telemetry/activity.ts";
import { logDepth } from "./telemetry/log-buffer.ts";
import type { GaugeValues } from "./telemetry/metrics.ts";
import type { UsageCounts } from "./telemetry/usage.ts";
import type { Providers, Stoppable } from "./tiers.ts";
import type { Releases } from "./updates/catalog.ts";

/** What the status is read from. */
export type StatusParts = {
  readonly providers: Providers;
  readonly agent: Agent;
  readonly activity: Activity;
  readonly usage: UsageCounts;
  readonly activeTurns: ActiveTurns;
  readonly conversation: Pick<Conversation, "resumableStatus">;
  readonly cluster: Cluster;
  readonly ports: Pick<Ports, "tls">;
  readonly rateLimits: Pick<RateLimits, "refused">;
  readonly stores: Pick<Stores, "status">;
  readonly releases: Pick<Releases, "status">;
  /** Fires when the gateway begins to stop. */
  readonly stopping: AbortSignal;
};

/** Reads what `/status` answers. */
export function createStatus(parts: StatusParts): () => GatewayStatus {
  const createdMs = performance.now();
  const watch = createModuleWatch();
  const { providers, activity, usage, activeTurns, conversation, stores } = parts;
  const { cluster, ports, rateLimits } = parts;
  const { redis } = cluster;
  const statusOf =
    (kind: "text" | "speech") =>
    ({ provider, breaker }: Tier<{ readonly name: string }>) => ({
      name: provider.name,
      kind,
      breaker: breaker.state(),
      ...activity.statistics(provider.name),
    });
  return () => ({
    name: "parley",
    version: packageJson.version,
    uptimeSeconds: Math.round((performance.now() - createdMs) / 1000),
    activeSessions: activeTurns.count(),
    providers: [
      ...providers.languageModels.map(statusOf("text")),
      ...providers.synthesizers.map((tier) => ({
        ...statusOf("speech")(tier),
        ...voicesOf(tier.provider),
      })),
    ],
    audioFormats: ["PCM_S16LE", "OPUS"],
    modules: watch(modulesOf(parts)),
    failovers: activity.failovers(),
    turns: activity.turns(),
    sessions: activeTurns.statistics(),
    usage: usage.totals(),
    tls: ports.tls() ?? { state: "off" },
    limits: {
      store: redis?.status().state === "ok" ? "redis" : "process",
      refused: rateLimits.refused(),
    },
    resumable: conversation.resumableStatus(),
    redis: redis?.status() ?? { enabled: false, state: "off" },
    ...stores.status(),
  });
}

type Modules = GatewayStatus["modules"];
type Module = Omit<Modules[number], "since"> & Partial<Pick<ModuleStatus, "since">>;

/** Every part of a gateway with a state of its own. */
function modulesOf(parts: StatusParts): readonly Module[] {
  const { providers, agent, activity, cluster, stores, releases, stopping } = parts;
  const { storage, memory, screenshots, analysis } = stores.status();
  const { done = 0, partial = 0, failed = 0, deadline = 0 } = activity.turns();
  const tier =
    (kind: "text" | "speech") =>
    ({ provider, breaker }: Tier<{ readonly name: string }>): Module => {
      const { successRate, misconfigured, ...statistics } = activity.statistics(provider.name);
      return {
        name: `${kind}/${provider.name}`,
        enabled: true,
        state: misconfigured ? "misconfigured" : tierStates[breaker.state()],
        ...rateOf(statistics.succeeded, statistics.failed),
        ...lastOf(statistics),
      };
    };
  const agentStatus = agent.status();
  return [
    {
      name: "sessions",
      enabled: true,
      state: stopping.aborted ? "stopping" : "ok",
      ...rateOf(done + partial, failed + deadline),
    },
    ...providers.languageModels.map(tier("text")),
    ...providers.synthesizers.map(tier("speech")),
    { ...storeModule("storage", storage), ...countOf(storage, "written", "lost") },
    { ...storeModule("memory", memory), ...countOf(memory, "recalled", "notRecalled") },
    { ...storeModule("screenshots", screenshots), ...countOf(screenshots, "stored", "lost") },
    { name: "agent", enabled: agentStatus.state !== "off", ...agentStatus },
    { name: "updates", enabled: true, ...releases.status() },
    clusterModule(cluster),
    storeModule("analysis", analysis),
  ];
}

const tierStates = { CLOSED: "ok", OPEN: "skipped", HALF_OPEN: "probing" } as const;

type StoreStatus = { readonly state: string; readonly lastError?: string };

function storeModule(name: string, status: StoreStatus): Module {
  return { name, enabled: status.state !== "off", state: status.state, ...lastOf(status) };
}

/** Redis names its last error by its kind. */
function clusterModule({ redis }: Cluster): Module {
  const { lastError, ...status } = redis?.status() ?? { enabled: false, state: "off" as const };
  return { name: "cluster", ...status, ...(lastError && { lastErrorKind: lastError }) };
}

function countOf<Name extends string>(status: object, good: Name, bad: Name) {
  const counts = status as Partial<Record<Name, number>>;
  return rateOf(counts[good] ?? 0, counts[bad] ?? 0);
}

/** Nothing before the first. */
function rateOf(succeeded: number, failed: number): Pick<Module, "successRate"> {
  const all = succeeded + failed;
  return all > 0 ? { successRate: succeeded / all } : {};
}

function lastOf({ lastError, lastErrorKind }: Pick<Module, "lastError" | "lastErrorKind">) {
  return { ...(lastError && { lastError }), ...(lastErrorKind && { lastErrorKind }) };
}

/** Remembers since when each module has the state that it has. It sees what is shown to it. */
function createModuleWatch() {
  const seen = new Map<string, { readonly state: string; readonly since: string }>();
  return (modules: readonly Module[]): Modules =>
    modules.map((module) => {
      const { name, state } = module;
      const before = seen.get(name);
      const now = before?.state === state ? before : { state, since: new Date().toISOString() };
      seen.set(name, now);
      return { since: now.since, ...module };
    });
}

/** How often the states of modules are looked at, so that `since` is right within this. */
const WATCH_EVERY_MS = 1000;

/** Looks at the status once a second, until it is stopped. */
export function watchStatus(read: () => GatewayStatus): Stoppable {
  const timer = setInterval(read, WATCH_EVERY_MS).unref();
  return { stop: async () => clearInterval(timer) };
}

/** The gauges of the metrics, read from the status. */
export function gaugeValues(
  status: GatewayStatus,
  stopping: AbortSignal,
  voices: Providers["synthesizers"],
): GaugeValues {
  const waiting = (store: object) => ("waiting" in store ? Number(store.waiting) : 0);
  const queues: Record<string, number> = {
    storage: waiting(status.storage),
    memory: waiting(status.memory),
    screenshots: waiting(status.screenshots),
    log: logDepth(),
  };
  for (const { provider } of voices) {
    if (provider.queueDepth) queues[`voice:${provider.name}`] = provider.queueDepth();
  }
  return { ...status, queues, activeTurns: status.activeSessions, isReady: !stopping.aborted };
}

function voicesOf({ languages, voices = [] }: Synthesizer) {
  return { ...(languages && { languages }), voices };
}
