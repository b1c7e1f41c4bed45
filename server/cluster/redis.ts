import { Connection, type ConnectionStatus } from "./redis-connection.ts";
import type { Redis, RedisOptions, RedisStatus } from "./redis-contract.ts";

const START_MS = 1000;

/** Makes the connections to Redis. Nothing runs before `start`. */
export function createRedis(options: RedisOptions): Redis {
  const connections: Connection[] = [];
  let isRunning = false;
  const connect = (name: string) => {
    const connection = new Connection(name, options);
    connections.push(connection);
    if (isRunning) connection.start();
    return connection;
  };
  const first = connect("commands");
  return {
    run: (use, bounds) => first.run(use, bounds),
    script: (lua, keys) => first.script(lua, keys),
    subscribe: (channel, listener) => first.subscribe(channel, listener),
    onOpen: (listener) => first.onOpen(listener),
    isOk: () => first.isOk(),
    connect,
    async start() {
      isRunning = true;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, START_MS);
      const opened = Promise.all(connections.map((connection) => connection.start()));
      await Promise.race([opened, late.promise]);
      clearTimeout(timer);
    },
    async stop() {
      isRunning = false;
      await Promise.all(connections.map((connection) => connection.stop()));
    },
    status: () => worstOf(connections.map((connection) => connection.status())),
  };
}

/** Degraded if one is; since the first that is, or the last that healed. */
function worstOf(all: readonly ConnectionStatus[]): RedisStatus {
  const degraded = all.filter(({ isOk }) => !isOk);
  const times = (degraded.length > 0 ? degraded : all).map(({ sinceMs }) => sinceMs);
  const sinceMs = degraded.length > 0 ? Math.min(...times) : Math.max(...times);
  const failed = all.filter(({ error }) => error).sort((a, b) => b.errorMs - a.errorMs);
  const [last] = [...degraded.filter(({ error }) => error), ...failed];
  return {
    enabled: true,
    state: degraded.length > 0 ? "degraded" : "ok",
    since: new Date(sinceMs).toISOString(),
    ...(last?.error && { lastError: last.error.kind }),
  };
}
