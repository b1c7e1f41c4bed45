import { randomUUID } from "node:crypto";
import { type Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { GatewayStatus } from "../../server/http/status.ts";
import { type ChildGateway, startChildGateway } from "../support/child-gateway.ts";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import { type RedisServer, startRedisServer } from "../support/redis-server.ts";

/** A minute of sound, at the speed at which it plays. */
const prompt = `say: ${"This is one sentence of a long turn, and more of them follow. ".repeat(15)}`;
const LEAD_MS = 400;

/** A gateway of two, with its clients. */
export type Instance = {
  readonly process: ChildGateway["process"];
  status(): Promise<GatewayStatus>;
  interrupt(hardwareId: string, turnId?: string): Promise<InterruptAnswer>;
  /** Begins a turn that lasts, and waits for its first message. */
  turn(hardwareId: string, sessionId: string): Promise<OpenTurn>;
};

export type InterruptAnswer = {
  readonly sessions: readonly string[];
  readonly unacknowledged: number;
  /** How long it took, in milliseconds. */
  readonly tookMs: number;
};

/** A turn that a client reads. */
type OpenTurn = {
  readonly turnId: string;
  /** Messages so far. */
  messages(): number;
  /** How it ended; undefined while it runs. */
  ending(): Ending | undefined;
  /** Resolves when it ended. */
  readonly ended: Promise<Ending>;
  leave(): void;
};

type Ending = { readonly code?: Code; readonly reason?: string | null };

/** Two gateways in processes of their own, and their Redis; that of the second is behind a proxy. */
export type TwoGateways = AsyncDisposable & {
  readonly redis: RedisServer;
  readonly proxy: CuttingProxy;
  readonly a: Instance;
  readonly b: Instance;
  /** Waits until both know each other, and Redis. */
  untilOk(): Promise<void>;
};

const WAIT = { timeout: 10_000, interval: 10 };

/** Starts them, with settings. */
export async function startTwoGateways(
  env: Readonly<Record<string, string>> = {},
): Promise<TwoGateways> {
  const redis = await startRedisServer();
  const proxy = await startCuttingProxy(redis.port);
  const [first, second] = await Promise.all([
    startChildGateway({ REDIS_URL: redis.url, ...env }),
    startChildGateway({ REDIS_URL: proxy.url.replace("http", "redis"), ...env }),
  ]);
  const [a, b] = [openInstance(first), openInstance(second)];
  const gateways: TwoGateways = {
    redis,
    proxy,
    a,
    b,
    async untilOk() {
      for (const from of [a, b]) {
        await vi.waitFor(async () => {
          if ((await from.status()).redis.state !== "ok") throw new Error("Redis is degraded");
          const { unacknowledged } = await from.interrupt("nobody");
          if (unacknowledged > 0) throw new Error("the other gateway does not answer");
        }, WAIT);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const child of [first, second]) child.process.kill("SIGCONT");
      await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
      await proxy[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
  await gateways.untilOk();
  return gateways;
}

function openInstance({ grpcPort, httpPort, process }: ChildGateway): Instance {
  const baseUrl = `http://127.0.0.1:${grpcPort}`;
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
  return {
    process,
    async status() {
      const answer = await fetch(`http://127.0.0.1:${httpPort}/status`);
      return (await answer.json()) as GatewayStatus;
    },
    async interrupt(hardwareId, turnId = "") {
      const startMs = performance.now();
      const answer = await client.interruptSession({ hardwareId, turnId });
      return {
        sessions: answer.interruptedSessions,
        unacknowledged: answer.unacknowledged,
        tookMs: performance.now() - startMs,
      };
    },
    turn: (hardwareId, sessionId) => openTurn(client, hardwareId, sessionId),
  };
}

async function openTurn(
  client: ReturnType<typeof createClient<typeof StreamingService>>,
  hardwareId: string,
  sessionId: string,
): Promise<OpenTurn> {
  const left = new AbortController();
  const turnId = randomUUID();
  const first = Promise.withResolvers<void>();
  let messages = 0;
  let ending: Ending | undefined;
  const read = async (): Promise<Ending> => {
    const asked = { prompt, hardwareId, sessionId, turnId, leadMs: LEAD_MS };
    try {
      for await (const _ of client.streamAudio(asked, { signal: left.signal })) {
        messages += 1;
        first.resolve();
      }
      return {};
    } catch (error) {
      const { code, metadata } = ConnectError.from(error);
      return { code, reason: metadata.get("parley-reason") };
    }
  };
  const ended = read().then((found) => {
    ending = found;
    first.resolve();
    return found;
  });
  await first.promise;
  return {
    turnId,
    messages: () => messages,
    ending: () => ending,
    ended,
    leave: () => left.abort(),
  };
}
