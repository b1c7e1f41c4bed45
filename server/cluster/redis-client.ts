import { isIP } from "node:net";
import { Redis as Client } from "ioredis";

/** The commands of Redis, typed: `client.xadd(…)`, `client.getBuffer(…)`. */
export type RedisCommands = Client;

const MAX_RETRY_MS = 1000;

/** Makes a client that keeps no command for later, and connects again by itself once it was told to. */
export function createRedisClient(
  url: string,
  { name, connectMs }: { readonly name: string; readonly connectMs: number },
): Client {
  return new Client({
    ...addressOf(url),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    connectTimeout: connectMs,
    disableClientInfo: true,
    connectionName: `parley-${name}`,
    retryStrategy: (times) => Math.min(times * 100, MAX_RETRY_MS),
  });
}

/** What a client needs of the address. Its own reading would take options from the query. */
export function addressOf(url: string) {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  return {
    host,
    port: Number(port || 6379),
    ...(username !== "" && { username: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1) || 0),
    ...(protocol === "rediss:" && { tls: isIP(host) ? {} : { servername: host } }),
  };
}
