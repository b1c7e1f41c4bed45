import { isIP } from "node:net";
import { prettifyError } from "zod";
import {
  type Environment,
  findLeaks,
  findMissingParts,
  type ProviderConfig,
  toProviderConfig,
} from "./provider-config.ts";
import { type Settings, settings } from "./settings.ts";

/** Milliseconds that a provider may take to its first part, between two, and in all. */
export type Timeouts = {
  readonly firstPartMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
};

/** The configuration of one gateway: typed, checked and frozen. */
export type Config = {
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Names by which clients may call, each perhaps with a port. */
  readonly allowedHosts: readonly string[];
  /** Whether any other name is served too. Never on loopback: see `createHostRule`. */
  readonly servesAnyHost: boolean;
  /** Web origins that may call from a browser; "*" means any. Pages on loopback always may. */
  readonly corsOrigins: readonly string[];
  readonly providers: ProviderConfig;
  /** How long each kind of tier may keep a turn waiting. */
  readonly textTimeouts: Timeouts;
  readonly speechTimeouts: Timeouts;
  readonly maxTurns: number;
  readonly maxTurnsPerDevice: number;
  readonly maxTurnsPerConnection: number;
  readonly maxTurnMs: number;
  readonly maxMessageBytes: number;
  /** Addresses and networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** Folder of what the gateway keeps. */
  readonly dataDir: string;
  /** Length of an audio chunk, 32 to 1000; rounded down to whole blocks where it is used. */
  readonly frameMs: number;
  readonly logLevel: Settings["LOG_LEVEL"];
  readonly logTurns: boolean;
};

/** The environment cannot be used. The message lists every problem, a line each. */
export class InvalidConfig extends Error {
  override readonly name = "InvalidConfig";
}

/** Reads the settings from an environment. Throws `InvalidConfig` with all that is wrong at once. */
export function readConfig(env: Environment = process.env): Config {
  const parsed = settings.safeParse(withoutBlanks(env));
  if (!parsed.success) throw new InvalidConfig(prettifyError(parsed.error));
  const providers = toProviderConfig(parsed.data, env);
  const problems = [
    ...findConflicts(parsed.data),
    ...findMissingParts(providers),
    ...findLeaks(providers, env),
  ];
  if (problems.length > 0) throw new InvalidConfig(problems.join("\n"));
  return Object.freeze(toConfig(parsed.data, providers));
}

/** An empty variable counts as unset, as in most shells' `${NAME:-}`. Old names are taken too. */
function withoutBlanks(env: Environment) {
  const known = Object.entries(env).filter(
    ([, value]) => value !== undefined && value.trim() !== "",
  );
  const { GRPC_HOST, ...rest } = Object.fromEntries(known);
  return GRPC_HOST === undefined ? rest : { HOST: GRPC_HOST, ...rest };
}

function findConflicts(env: Settings): readonly string[] {
  const problems: string[] = [];
  if (!isLoopback(env.HOST) && env.AUTH_MODE === undefined) {
    problems.push(
      `HOST ${env.HOST} can be reached from other machines, and there is no authentication. Set AUTH_MODE=open if anybody may use it.`,
    );
  }
  if (env.GRPC_PORT === env.HTTP_PORT && env.GRPC_PORT !== 0) {
    problems.push(`GRPC_PORT and HTTP_PORT are both ${env.GRPC_PORT}: they must differ.`);
  }
  return problems;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function toConfig(env: Settings, providers: ProviderConfig): Config {
  return {
    host: env.HOST,
    grpcPort: env.GRPC_PORT,
    httpPort: env.HTTP_PORT,
    allowedHosts: [...env.ALLOWED_HOSTS, env.HOST],
    servesAnyHost: !isLoopback(env.HOST) && env.ALLOWED_HOSTS.length === 0,
    corsOrigins: env.CORS_ORIGINS,
    providers,
    textTimeouts: timeouts(env.TEXT_TIMEOUT),
    speechTimeouts: timeouts(env.SPEECH_TIMEOUT),
    maxTurns: env.MAX_SESSIONS,
    maxTurnsPerConnection: env.MAX_SESSIONS_PER_CONNECTION,
    maxTurnsPerDevice: env.MAX_CONCURRENT_REQUESTS,
    maxTurnMs: env.MAX_PROCESSING_TIME * 1000,
    maxMessageBytes: env.MAX_MESSAGE_BYTES,
    trustedProxies: env.TRUSTED_PROXIES,
    dataDir: env.DATA_DIR,
    frameMs: env.AUDIO_CHUNK_MS,
    logLevel: env.LOG_LEVEL,
    logTurns: env.LOG_REQUESTS,
  };
}

/** A tier that says nothing for a third of its time is given up, so that the next has time left. */
function timeouts(seconds: number): Timeouts {
  const totalMs = seconds * 1000;
  return { firstPartMs: totalMs / 3, idleMs: totalMs / 3, totalMs };
}
