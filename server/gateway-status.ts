import packageJson from "../package.json" with { type: "json" };
import type { Agent } from "./agent/agent.ts";
import type { Cluster } from "./cluster-parts.ts";
import type { ActiveTurns } from "./conversation/active-turns-contract.ts";
import type { Tier } from "./failover/tier.ts";
import type { GatewayStatus } from "./http/status.ts";
import type { RateLimits } from "./limits/rate-limits.ts";
import type { Synthesizer } from "./models/synthesizer.ts";
import type { Ports } from "./ports.ts";
import type { Stores } from "./stores.ts";
import type { Activity } from "./telemetry/activity.ts";
import type { GaugeValues } from "./telemetry/metrics.ts";
import type { UsageCounts } from "./telemetry/usage.ts";
import type { Providers } from "./tiers.ts";

/** What the status is read from. */
export type StatusParts = {
  readonly providers: Providers;
  readonly agent: Agent;
  readonly activity: Activity;
  readonly usage: UsageCounts;
  readonly activeTurns: ActiveTurns;
  readonly cluster: Cluster;
  readonly ports: Pick<Ports, "tls">;
  readonly rateLimits: Pick<RateLimits, "refused">;
  readonly stores: Pick<Stores, "status">;
};

/** Reads what `/status` answers. */
export function createStatus(parts: StatusParts): () => GatewayStatus {
  const createdMs = performance.now();
  const { providers, agent, activity, usage, activeTurns, cluster, ports, rateLimits, stores } =
    parts;
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
    modules: [{ name: "agent", ...agent.status() }],
    failovers: activity.failovers(),
    turns: activity.turns(),
    sessions: activeTurns.statistics(),
    usage: usage.totals(),
    tls: ports.tls() ?? { state: "off" },
    limits: {
      store: redis?.status().state === "ok" ? "redis" : "process",
      refused: rateLimits.refused(),
    },
    redis: redis?.status() ?? { enabled: false, state: "off" },
    ...stores.status(),
  });
}

/** The gauges of the metrics, read from the status. */
export function gaugeValues(status: GatewayStatus, stopping: AbortSignal): GaugeValues {
  return { ...status, activeTurns: status.activeSessions, isReady: !stopping.aborted };
}

function voicesOf({ languages, voices = [] }: Synthesizer) {
  return { ...(languages && { languages }), voices };
}
