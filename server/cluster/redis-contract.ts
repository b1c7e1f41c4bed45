import type { Logger } from "../telemetry/logger.ts";
import type { RedisCommands } from "./redis-client.ts";
import type { RedisErrorKind } from "./redis-errors.ts";

/** How Redis does, for `/status`. */
export type RedisStatus = {
  /** Whether `REDIS_URL` is set. */
  readonly enabled: boolean;
  /** `degraded`: what is shared between instances is not, until it heals by itself. */
  readonly state: "off" | "ok" | "degraded";
  /** When it came to this state: ISO 8601. Absent if off. */
  readonly since?: string;
  /** The last failure since the start. */
  readonly lastError?: RedisErrorKind;
};

/** Bounds of one call. */
export type CallBounds = {
  /** Milliseconds to the answer. The connection's own if absent. A blocking command needs more. */
  readonly timeoutMs?: number;
  /** Ends the wait, with its reason. The command itself cannot be taken back. */
  readonly signal?: AbortSignal;
};

/** One connection to Redis that is made again whenever it is lost. */
export type RedisConnection = {
  /**
   * Calls commands and awaits their answer. Rejects with a `RedisError`: at once while degraded, since
   * nothing waits for a connection; after the time-out, which makes it degraded; else as Redis answers.
   * Commands of one connection reach Redis in the order of the calls.
   */
  run<T>(use: (client: RedisCommands) => Promise<T>, bounds?: CallBounds): Promise<T>;
  /**
   * Names a Lua script and returns the function that runs it as `run` does: first the keys, then the
   * arguments. The script's text is sent only where Redis does not know it yet.
   */
  script(lua: string, numberOfKeys: number): RedisScript;
  /**
   * Calls `listener` with each message of a channel, until the function returned is called. A connection
   * that listens can run no other commands. Lost ones are never repeated: see `onOpen`.
   */
  subscribe(channel: string, listener: (message: string) => void): () => void;
  /** Calls `listener` each time the connection is there, its subscriptions as well. Returns its end. */
  onOpen(listener: () => void): () => void;
  isOk(): boolean;
};

/** Runs a script: its keys, then its arguments. */
export type RedisScript = (
  args: readonly (string | number | Buffer)[],
  bounds?: CallBounds,
) => Promise<unknown>;

/** The connections of one gateway to Redis. The first one is itself. */
export type Redis = RedisConnection & {
  /** Another connection, for subscriptions or blocking commands. It starts and stops with this one. */
  connect(name: string): RedisConnection;
  /** Connects. Resolves once it is connected, or after a second without: never rejects. */
  start(): Promise<void>;
  /** Closes all connections. */
  stop(): Promise<void>;
  status(): RedisStatus;
};

/** Where Redis is, and how long it may take. */
export type RedisOptions = {
  /** `redis://` or `rediss://`, with user and password where it needs them. */
  readonly url: string;
  readonly logger: Logger;
  /** Milliseconds to an answer. 250 if absent. */
  readonly timeoutMs?: number;
};
