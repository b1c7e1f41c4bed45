import { abortable } from "../core/async.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createRedisClient, type RedisCommands } from "./redis-client.ts";
import type { CallBounds, RedisConnection, RedisOptions, RedisScript } from "./redis-contract.ts";
import { RedisError, toRedisError } from "./redis-errors.ts";

const TIMEOUT_MS = 250;
/** Without an answer for so long the connection is given up. */
const STALLED_MS = 1000;
const WATCH_EVERY_MS = 500;
/** What may wait for answers. */
const MAX_COMMANDS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;
const LATE = Symbol("no answer in time");

/** How one connection does. */
export type ConnectionStatus = {
  readonly isOk: boolean;
  readonly sinceMs: number;
  readonly error: RedisError | undefined;
  readonly errorMs: number;
};

/** One connection, and the watch over it. */
export class Connection implements RedisConnection {
  readonly #name: string;
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #client: RedisCommands;
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #openListeners = new Set<() => void>();
  readonly #opened = Promise.withResolvers<void>();
  #isOk = false;
  #isStopped = true;
  #sinceMs = Date.now();
  #error: RedisError | undefined;
  #errorMs = 0;
  #watch: NodeJS.Timeout | undefined;
  /** When a sign of life was first asked for that has not come. Milliseconds of a monotonic clock. */
  #probedMs: number | undefined;
  readonly #scripts: string[] = [];

  constructor(name: string, { url, logger, timeoutMs = TIMEOUT_MS }: RedisOptions) {
    this.#name = name;
    this.#logger = logger;
    this.#timeoutMs = timeoutMs;
    this.#client = createRedisClient(url, { name, connectMs: STALLED_MS });
    this.#client.on("error", (error) => this.#degrade(toRedisError(error)));
    this.#client.on("close", () => this.#lose());
    this.#client.on("ready", () => this.#open());
    this.#client.on("message", (channel, message) => this.#hear(channel, message));
  }

  /** Resolves when it is connected for the first time. */
  start(): Promise<void> {
    this.#isStopped = false;
    this.#watch = setInterval(() => this.#look(), WATCH_EVERY_MS).unref();
    this.#client.connect().catch(() => undefined);
    return this.#opened.promise;
  }

  async stop(): Promise<void> {
    const wasOk = this.#isOk;
    this.#isStopped = true;
    this.#isOk = false;
    clearInterval(this.#watch);
    // What was sent before it is answered before it.
    if (wasOk)
      await this.#within(this.#timeoutMs, () => this.#client.quit()).catch(() => undefined);
    this.#client.disconnect();
    // Its end waits for the other side, which may be stalled.
    this.#client.stream?.destroy();
  }

  status(): ConnectionStatus {
    const [isOk, sinceMs] = [this.#isOk, this.#sinceMs];
    return { isOk, sinceMs, error: this.#error, errorMs: this.#errorMs };
  }

  isOk(): boolean {
    return this.#isOk;
  }

  async run<T>(
    use: (client: RedisCommands) => Promise<T>,
    { timeoutMs = this.#timeoutMs, signal }: CallBounds = {},
  ): Promise<T> {
    signal?.throwIfAborted();
    if (!this.#isOk) throw this.#error ?? new RedisError("unreachable");
    const { commandQueue, stream } = this.#client;
    if (commandQueue.length >= MAX_COMMANDS || stream.writableLength >= MAX_BYTES) {
      throw new RedisError("overload");
    }
    const answer = this.#within(timeoutMs, () => use(this.#client));
    return await (signal ? abortable(answer, signal) : answer);
  }

  script(lua: string, numberOfKeys: number): RedisScript {
    const name = `script${this.#scripts.push(lua)}`;
    this.#load(lua);
    this.#client.defineCommand(name, { lua, numberOfKeys });
    const scripts = this.#client as unknown as Record<
      string,
      (...args: readonly (string | number | Buffer)[]) => Promise<unknown>
    >;
    return (args, bounds) => this.run(async () => await scripts[name]?.(...args), bounds);
  }

  subscribe(channel: string, listener: (message: string) => void): () => void {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    if (this.#isOk && listeners.size === 1) this.#listen([channel]);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0) return;
      this.#listeners.delete(channel);
      this.#client.unsubscribe(channel).catch(() => undefined);
    };
  }

  onOpen(listener: () => void): () => void {
    this.#openListeners.add(listener);
    return () => this.#openListeners.delete(listener);
  }

  async #within<T>(timeoutMs: number, use: () => Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    // The answer may be there and unread, if this process itself was held up.
    const timer = setTimeout(() => setImmediate(() => late.reject(LATE)), timeoutMs);
    try {
      return await Promise.race([use(), late.promise]);
    } catch (error) {
      if (error !== LATE) throw toRedisError(error);
      const timeout = new RedisError("timeout");
      if (timeoutMs >= this.#timeoutMs) this.#degrade(timeout);
      this.#probe();
      throw timeout;
    } finally {
      clearTimeout(timer);
    }
  }

  #hear(channel: string, message: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener(message);
  }

  /** The connection is there. It is of use once it listens. */
  #open(): void {
    this.#probedMs = undefined;
    for (const lua of this.#scripts) this.#load(lua);
    if (this.#listeners.size === 0) this.#heal();
    else this.#listen([...this.#listeners.keys()]);
  }

  /**
   * Has Redis know a script before its first call: one that is sent again with its text comes behind those
   * that were called after it.
   */
  #load(lua: string): void {
    if (this.#client.status === "ready") {
      this.#client.script("LOAD", lua).catch(() => undefined);
    }
  }

  #listen(channels: readonly string[]): void {
    this.#client.subscribe(...channels).then(
      () => this.#heal(),
      (error: unknown) => this.#degrade(toRedisError(error)),
    );
  }

  #heal(): void {
    if (this.#isStopped || this.#client.status !== "ready") return;
    if (!this.#isOk) {
      if (this.#error) this.#logger.info({ connection: this.#name }, "Redis works again");
      this.#sinceMs = Date.now();
    }
    this.#isOk = true;
    this.#opened.resolve();
    for (const listener of [...this.#openListeners]) listener();
  }

  #lose(): void {
    this.#probedMs = undefined;
    if (this.#isOk) this.#degrade(new RedisError("unreachable"));
  }

  #degrade(error: RedisError): void {
    if (this.#isStopped) return;
    if (this.#isOk || this.#error === undefined) {
      const { message, code } = error;
      this.#logger.error({ connection: this.#name, error: message, code }, "Redis degraded");
    }
    if (this.#isOk) this.#sinceMs = Date.now();
    this.#isOk = false;
    this.#error = error;
    this.#errorMs = Date.now();
  }

  /** Finds a connection on which nothing comes any more. */
  #look(): void {
    const { status } = this.#client;
    if (status === "ready") this.#probe();
    if (status === "connect") this.#probedMs ??= performance.now();
    if (status === "end") this.#client.connect().catch(() => undefined);
    if (this.#probedMs === undefined || performance.now() - this.#probedMs < STALLED_MS) return;
    this.#probedMs = undefined;
    this.#degrade(new RedisError("timeout"));
    this.#client.stream.destroy();
  }

  #probe(): void {
    if (this.#probedMs !== undefined || this.#client.status !== "ready") return;
    const probedMs = performance.now();
    this.#probedMs = probedMs;
    this.#client.ping().then(
      () => {
        if (this.#probedMs === probedMs) this.#probedMs = undefined;
        if (!this.#isOk) this.#open();
      },
      (error: unknown) => {
        if (this.#probedMs === probedMs) this.#probedMs = undefined;
        this.#degrade(toRedisError(error));
      },
    );
  }
}
