// A process that starts two gateways, which act as one, and their Redis. The load has the first.
import { startRedisServer } from "../test/support/redis-server.ts";
import { serveLoad } from "./child.ts";
import type { ReplyPlan } from "./reply.ts";
import { startServer } from "./server.ts";

const [text = ""] = process.argv.slice(2);
const plan = JSON.parse(text) as ReplyPlan;
const redis = await startRedisServer();
const variant = { server: "gateway", settings: { REDIS_URL: redis.url } } as const;
const signal = new AbortController().signal;
const [first, second] = [
  await startServer(variant, plan, signal),
  await startServer(variant, plan, signal),
];
serveLoad({
  url: first.url,
  others: [second.url],
  takeCancels: () => ({}),
  answers: () => ({}),
  async stop() {
    await Promise.all([first.stop(), second.stop()]);
    await redis[Symbol.asyncDispose]();
  },
});
