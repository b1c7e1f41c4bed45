import { expect, vi } from "vitest";
import { startAzureEmulator } from "../../emulators/azure.ts";
import { startGeminiEmulator } from "../../emulators/gemini.ts";
import type { GatewayStatus } from "../../server/http/status.ts";
import { type ChildGateway, startChildGateway } from "../support/child-gateway.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { openClient } from "../support/resumed-turns.ts";

/** What a gateway in a process of its own is to these tests. */
export type Instance = ChildGateway & {
  readonly url: string;
  readonly client: ReturnType<typeof openClient>;
  status(): Promise<GatewayStatus>;
};

/** A Redis and emulated services, which the gateways of one test share. */
export type Surroundings = Awaited<ReturnType<typeof startSurroundings>>;

/** Starts them. `sentences` are what the model says to every prompt. */
export async function startSurroundings(sentences: readonly string[]) {
  const [redis, gemini, azure] = await Promise.all([
    startRedisServer(),
    startGeminiEmulator(),
    startAzureEmulator(),
  ]);
  gemini.play({ deltas: sentences });
  const env = {
    REDIS_URL: redis.url,
    TEXT_TIERS: "gemini",
    GEMINI_API_KEY: "k",
    GEMINI_BASE_URL: gemini.url,
    SPEECH_TIERS: "azure",
    AZURE_SPEECH_KEY: "k",
    AZURE_SPEECH_HOST: azure.url,
    MAX_CONCURRENT_REQUESTS: "100",
    SHUTDOWN_GRACE: "0",
  };
  return {
    redis,
    gemini,
    azure,
    /** Starts a gateway more. Resolves once it has its Redis. */
    async start(): Promise<Instance> {
      const instance = toInstance(await startChildGateway(env));
      await vi.waitFor(
        async () => expect((await instance.status()).redis.state).toBe("ok"),
        10_000,
      );
      return instance;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([redis[Symbol.asyncDispose](), gemini.stop(), azure.stop()]);
    },
  };
}

function toInstance(gateway: ChildGateway): Instance {
  const url = `http://127.0.0.1:${gateway.grpcPort}`;
  return {
    ...gateway,
    url,
    client: openClient(url),
    async status() {
      const answer = await fetch(`http://127.0.0.1:${gateway.httpPort}/status`);
      return (await answer.json()) as GatewayStatus;
    },
  };
}
