// A process that runs Debian's redis-server, for gateways that share their turns. Its URL is Redis' own.
import { startRedisServer } from "../test/support/redis-server.ts";
import { serveLoad } from "./child.ts";

const redis = await startRedisServer();
serveLoad({
  url: redis.url,
  takeCancels: () => ({}),
  answers: () => ({}),
  async stop() {
    await redis[Symbol.asyncDispose]();
  },
});
