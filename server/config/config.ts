import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { prettifyError } from "zod";
import type { DoorName } from "../doors/doors.ts";
import type { Timeouts } from "../failover/tier.ts";
import { type AgentConfig, toAgentConfig } from "./agent-config.ts";
import { type AnalysisConfig, toAnalysisConfig } from "./analysis-config.ts";
import { type AuthConfig, findAuthConflicts, toAuthConfig } from "./auth-config.ts";
import { isLoopback, readSources } from "./config-sources.ts";
import { type DataConfig, findDataConflicts, toDataConfig } from "./data-config.ts";
import {
  type Environment,
  findLeaks,
  findMissingParts,
  type ProviderConfig,
  toProviderConfig,
} from "./provider-config.ts";
import { type Settings, settings } from "./settings.ts";
import { type TelemetryConfig, toTelemetryConfig } from "./telemetry-config.ts";

type DataAndTelemetry = DataConfig & TelemetryConfig;

/** The configuration of one gateway: typed, checked and frozen. */
export type Config = DataAndTelemetry & {
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly updates: UpdateConfig;
  /** Host names that clients may use, optionally with a port. */
  readonly allowedHosts: readonly string[];
  /** Whether every other host name is served too. Never on loopback: see `withAccess`. */
  readonly servesAnyHost: boolean;
  /** The files of the certificate. Absent: plain text. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Web origins that may call from a browser. "*" allows any. Pages on loopback always may. */
  readonly corsOrigins: readonly string[];
  /** How callers are known. Absent: everyone who can reach the ports is served. */
  readonly auth?: AuthConfig;
  /** The other vendors' APIs that are answered. */
  readonly doors: readonly DoorName[];
  /** The door for Wyoming's clients; closed if absent. */
  readonly wyoming?: { readonly port: number; readonly allow: readonly string[] };
  /** Characters of one text that OpenAI's door speaks. */
  readonly maxSpeechInput: number;
  readonly providers: ProviderConfig;
  readonly agent: AgentConfig;
  readonly analysis: AnalysisConfig;
  /** How long a tier of each kind may keep a turn waiting. */
  readonly textTimeouts: Timeouts;
  readonly speechTimeouts: Timeouts;
  readonly maxTurns: number;
  readonly maxTurnsPerDevice: number;
  readonly maxTurnsPerConnection: number;
  readonly maxTurnMs: number;
  /** How long turns in progress may go on when the gateway stops. */
  readonly shutdownGraceMs: number;
  /** Whether another model is asked when one withholds its reply for safety. */
  readonly failsOverWithheld: boolean;
  readonly maxMessageBytes: number;
  /** Requests and bytes a second of a device. 0: any number. */
  readonly rateLimits: { readonly requestsPerSecond: number; readonly bytesPerSecond: number };
  /** Seconds of sound and tokens of a device in a day. 0: any number. */
  readonly quotas: { readonly audioSeconds: number; readonly tokens: number };
  /** Addresses and networks of proxies whose `X-Forwarded-For` is trusted. */
  readonly trustedProxies: readonly string[];
  /** The folder for the gateway's data. */
  readonly dataDir: string;
  /** Milliseconds without a turn that end a device's current session. */
  readonly sessionIdleMs: number;
  readonly database: {
    /** Whether turns are stored there. */
    readonly isEnabled: boolean;
    readonly url: string;
    /** Whether other gateways may write to it: a file is this one's own. */
    readonly isShared: boolean;
    readonly authToken?: string;
    readonly timeoutMs: number;
    /** Milliseconds after which turns are deleted. */
    readonly retentionMs?: number;
  };
  /** What several gateways share. Absent: this one runs alone. */
  readonly redis?: { readonly url: string };
  /** Length of an audio chunk, 32 to 1000; rounded down to whole blocks where it is used. */
  readonly frameMs: number;
  /** What somebody should know of the settings' names. To be logged at the start. */
  readonly warnings: readonly string[];
};

const DAY_MS = 24 * 3600 * 1000;
/** The update feed. */
type UpdateConfig = {
  /** A port for the feed alone. Absent: none. */
  readonly port?: number;
  /** Whether the releases are in the blob store, of which the folder is a copy. */
  readonly fromBlobs: boolean;
  /** The folder of the releases. */
  readonly folder: string;
  /** What addresses in the feed begin with. Absent: they are relative. */
  readonly baseUrl?: string;
};

/** The settings are invalid. The message lists every problem, one per line. */
export class InvalidConfig extends Error {
  override readonly name = "InvalidConfig";
}

/**
 * Reads the settings from an environment, and from the file that its `CONFIG_FILE` names. Throws
 * `InvalidConfig` with all that is wrong at once.
 */
export function readConfig(env: Environment = process.env): Config {
  const { values, oldNames, warnings, problems: unreadable } = readSources(env);
  const parsed = settings.safeParse(values);
  const invalid = parsed.success ? [] : [withOldNames(prettifyError(parsed.error), oldNames)];
  if (!parsed.success || unreadable.length > 0) {
    throw new InvalidConfig([...unreadable, ...invalid].join("\n"));
  }
  const providers = toProviderConfig(parsed.data, env);
  const problems = [
    ...findConflicts(parsed.data),
    ...findMissingParts(providers),
    ...findLeaks(providers, env),
  ];
  if (problems.length > 0) throw new InvalidConfig(problems.join("\n"));
  return Object.freeze({ ...toConfig(parsed.data, providers, env), warnings });
}

/** Names settings as they were given. */
function withOldNames(problems: string, oldNames: ReadonlyMap<string, string>): string {
  return problems.replaceAll(/→ at (\w+)/g, (at, name) =>
    oldNames.has(name) ? `→ at ${oldNames.get(name)}` : at,
  );
}

function findConflicts(env: Settings): readonly string[] {
  const problems: string[] = [];
  if (!isLoopback(env.HOST) && env.AUTH_MODE === undefined) {
    problems.push(
      `HOST ${env.HOST} is reachable from other machines, and the gateway has no authentication. Set AUTH_MODE=token or jwt to ask for tokens, or AUTH_MODE=open to allow everyone.`,
    );
  }
  problems.push(...findAuthConflicts(env));
  if (env.USE_TLS && (env.TLS_CERT_FILE === undefined || env.TLS_KEY_FILE === undefined)) {
    problems.push("USE_TLS needs TLS_CERT_FILE and TLS_KEY_FILE: the certificate and its key.");
  }
  const [, agentPort] = /:(\d+)$/.exec(env.NEIRA_SOCKET_PATH ?? "") ?? [];
  if ([env.GRPC_PORT, env.HTTP_PORT].includes(Number(agentPort))) {
    problems.push(`NEIRA_SOCKET_PATH names the gateway's own port ${agentPort}. They must differ.`);
  }
  if (env.GRPC_PORT === env.HTTP_PORT && env.GRPC_PORT !== 0) {
    problems.push(`GRPC_PORT and HTTP_PORT are both ${env.GRPC_PORT}. They must differ.`);
  }
  const { UPDATE_PORT: updatePort } = env;
  const isTaken = [env.GRPC_PORT, env.HTTP_PORT].includes(updatePort);
  if (env.UPDATE_ENABLED && updatePort !== 0 && isTaken) {
    problems.push(`UPDATE_PORT ${updatePort} is another port of the gateway. They must differ.`);
  }
  if (env.AZURE_SPEECH_KEY && !env.AZURE_SPEECH_REGION && !env.AZURE_SPEECH_HOST) {
    problems.push(
      "AZURE_SPEECH_KEY is set without AZURE_SPEECH_REGION: the key is good in its own region only. Set the region, or AZURE_SPEECH_HOST.",
    );
  }
  return [...problems, ...findDataConflicts(env), ...findLateTiers(env)];
}

/** A tier that may be silent for longer than the turn lasts is never followed by another. */
function findLateTiers(env: Settings): readonly string[] {
  const turn = env.MAX_PROCESSING_TIME;
  return (["TEXT_TIMEOUT", "SPEECH_TIMEOUT"] as const)
    .filter((name) => timeouts(env[name]).firstPartMs >= turn * 1000)
    .map((name) => {
      const seconds = Math.round(env[name] * 10) / 30;
      return `${name} ${env[name]} gives a tier ${seconds.toFixed(1)} s for its first part, and MAX_PROCESSING_TIME ends the turn after ${turn} s. Set ${name} below ${3 * turn}.`;
    });
}

function toConfig(
  env: Settings,
  providers: ProviderConfig,
  all: Environment,
): Omit<Config, "warnings"> {
  return {
    host: env.HOST,
    grpcPort: env.GRPC_PORT,
    httpPort: env.HTTP_PORT,
    updates: {
      ...(env.UPDATE_ENABLED && { port: env.UPDATE_PORT }),
      fromBlobs: env.UPDATE_SOURCE === "blobs",
      folder:
        env.UPDATE_DIR ??
        join(env.DATA_DIR, env.UPDATE_SOURCE === "blobs" ? "cache/updates" : "updates"),
      ...(env.UPDATE_URL !== undefined && { baseUrl: env.UPDATE_URL }),
    },
    allowedHosts: [...env.ALLOWED_HOSTS, env.HOST],
    servesAnyHost: !isLoopback(env.HOST) && env.ALLOWED_HOSTS.length === 0,
    ...toTls(env),
    corsOrigins: env.CORS_ORIGINS,
    ...toAuthConfig(env),
    doors: env.DOORS,
    ...(env.WYOMING_PORT !== undefined && {
      wyoming: { port: env.WYOMING_PORT, allow: env.WYOMING_ALLOW },
    }),
    maxSpeechInput: env.MAX_SPEECH_INPUT,
    providers,
    agent: toAgentConfig(env, all),
    analysis: toAnalysisConfig(env, all),
    textTimeouts: timeouts(env.TEXT_TIMEOUT),
    speechTimeouts: timeouts(env.SPEECH_TIMEOUT),
    maxTurns: env.MAX_SESSIONS,
    maxTurnsPerConnection: env.MAX_SESSIONS_PER_CONNECTION,
    maxTurnsPerDevice: env.MAX_CONCURRENT_REQUESTS,
    maxTurnMs: env.MAX_PROCESSING_TIME * 1000,
    shutdownGraceMs: env.SHUTDOWN_GRACE * 1000,
    failsOverWithheld: env.FAILOVER_WITHHELD,
    maxMessageBytes: env.MAX_MESSAGE_BYTES,
    rateLimits: {
      requestsPerSecond: env.RATE_LIMIT_REQUESTS,
      bytesPerSecond: env.RATE_LIMIT_BYTES,
    },
    quotas: { audioSeconds: env.QUOTA_AUDIO_SECONDS, tokens: env.QUOTA_TOKENS },
    trustedProxies: env.TRUSTED_PROXIES,
    dataDir: env.DATA_DIR,
    sessionIdleMs: env.SESSION_TIMEOUT * 1000,
    database: toDatabase(env),
    ...(env.REDIS_URL !== undefined && { redis: { url: env.REDIS_URL } }),
    ...toDataConfig(env),
    frameMs: env.AUDIO_CHUNK_MS,
    ...toTelemetryConfig(env),
  };
}

function toTls({ USE_TLS, TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }: Settings) {
  const isOn = USE_TLS && certFile !== undefined && keyFile !== undefined;
  return isOn ? { tls: { certFile, keyFile } } : {};
}

function toDatabase(env: Settings): Config["database"] {
  const url = env.DATABASE_URL ?? pathToFileURL(join(env.DATA_DIR, "parley.db")).href;
  return {
    isEnabled: env.STORAGE_ENABLED,
    url,
    isShared: !url.startsWith("file:"),
    ...(env.DATABASE_AUTH_TOKEN !== undefined && { authToken: env.DATABASE_AUTH_TOKEN }),
    timeoutMs: env.DATABASE_TIMEOUT * 1000,
    ...(env.RETENTION_DAYS !== undefined && { retentionMs: env.RETENTION_DAYS * DAY_MS }),
  };
}

/** A tier that is silent for a third of its time is abandoned, so that the next one has time left. */
function timeouts(seconds: number): Timeouts {
  const totalMs = seconds * 1000;
  return { firstPartMs: totalMs / 3, idleMs: totalMs / 3, totalMs };
}
