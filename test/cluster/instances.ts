import { expect, vi } from "vitest";
import { startAzureEmulator } from "../../emulators/azure.ts";
import { startGeminiEmulator } from "../../emulators/gemini.ts";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import type { GatewayStatus } from "../../server/http/status.ts";
import { type ChildGateway, startChildGateway } from "../support/child-gateway.ts";
import { startRedisServer } from "../support/redis-server.ts";
import { openClient } from "../support/resumed-turns.ts";

/** What a gateway is to these tests. */
export type Instance = AsyncDisposable & {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly url: string;
  readonly client: ReturnType<typeof openClient>;
  status(): Promise<GatewayStatus>;
};

/** One in a process of its own, which can be killed. */
export type ChildInstance = Instance & Pick<ChildGateway, "process">;

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
    start: async (): Promise<ChildInstance> => untilShared(await startChildGateway(env)),
    /** Starts one in this process, where what it runs is counted as covered. */
    startHere: async (): Promise<Instance> => untilShared(await startHere(env)),
    async [Symbol.asyncDispose]() {
      await Promise.all([redis[Symbol.asyncDispose](), gemini.stop(), azure.stop()]);
    },
  };
}

type Running = Pick<Instance, "grpcPort" | "httpPort">;

async function startHere(
  env: Readonly<Record<string, string>>,
): Promise<Running & AsyncDisposable> {
  const own = { GRPC_PORT: "0", HTTP_PORT: "0", LOG_LEVEL: "silent", STORAGE_ENABLED: "false" };
  const app = createApp(readConfig({ ...own, ...env }));
  const { grpc, http } = await app.start();
  return { grpcPort: grpc.port, httpPort: http.port, [Symbol.asyncDispose]: app.stop };
}

async function untilShared<Gateway extends Running>(gateway: Gateway) {
  const url = `http://127.0.0.1:${gateway.grpcPort}`;
  const status = async () => {
    const answer = await fetch(`http://127.0.0.1:${gateway.httpPort}/status`);
    return (await answer.json()) as GatewayStatus;
  };
  await vi.waitFor(async () => expect((await status()).redis.state).toBe("ok"), 10_000);
  return { ...gateway, url, client: openClient(url), status };
}
