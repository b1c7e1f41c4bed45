import { randomUUID } from "node:crypto";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished } from "vitest";
import { RequestPhase, StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createRedis } from "../../server/cluster/redis.ts";
import { createRedisTurnRegistry } from "../../server/cluster/redis-turn-registry.ts";
import { createSharedTurns } from "../../server/cluster/shared-turns.ts";
import { createActiveTurns } from "../../server/conversation/active-turns.ts";
import { createConversation } from "../../server/conversation/conversation.ts";
import { createLocalHistory } from "../../server/conversation/local-history.ts";
import type { UserMemory } from "../../server/conversation/memory/memory.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, type RedisServer, startRedisServer } from "../support/redis-server.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";

// What an interrupt of one gateway drops on another, beside the turns that run.

const it = itUnless(!hasRedis());

async function open(redisUrl: string) {
  const model = createScriptedLanguageModel(["One sentence. And another one."]);
  const gateway = await startGateway({ languageModels: [model], env: { REDIS_URL: redisUrl } });
  return { gateway, model };
}

const clientOf = ({ url }: Gateway) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: url }));

async function codeOf(stream: AsyncIterable<unknown>): Promise<string> {
  try {
    await Array.fromAsync(stream);
    return "ended";
  } catch (error) {
    const { code, metadata } = ConnectError.from(error);
    return `${Code[code]} ${metadata.get("parley-reason")}`;
  }
}

/** A conversation of its own over the Redis, and what an interrupt drops of its memory. */
async function create(server: RedisServer) {
  const limits = {
    maxTurns: 9,
    maxTurnsPerDevice: 9,
    maxTurnsPerConnection: 9,
    maxTurnMs: 30_000,
  };
  const redis = createRedis({ url: server.url, logger: createLogger("silent") });
  const registry = createRedisTurnRegistry(redis, { ...limits, sessionIdleMs: 300_000 });
  const activeTurns = createActiveTurns(limits, registry);
  const drops: ((turnId: string) => boolean)[] = [];
  const conversation = createConversation({
    languageModels: [],
    synthesizers: [],
    frameMs: 96,
    history: createLocalHistory(),
    activeTurns,
    sharedTurns: createSharedTurns(redis.connect("turns")),
    memory: {
      drop: (_deviceId: string, isMeant: (turnId: string) => boolean) => drops.push(isMeant),
    } as unknown as UserMemory,
  });
  registry.start();
  await redis.start();
  onTestFinished(() => registry.stop().then(() => redis.stop()));
  return { conversation, activeTurns, drops };
}

describe("InterruptSession of another gateway", () => {
  it("drops what was collected of a prompt, and nothing that is collected later", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    await using _a = a.gateway;
    await using _b = b.gateway;
    const fields = { hardwareId: "d", sessionId: randomUUID() };
    const collect = (chunkText: string, chunkSeq: number) =>
      Array.fromAsync(
        clientOf(b.gateway).streamAudio({
          ...fields,
          phase: RequestPhase.COLLECT,
          chunkText,
          chunkSeq,
        }),
      );
    await collect("forget this", 1);
    const answer = await clientOf(a.gateway).interruptSession({ hardwareId: "d" });
    expect(answer.unacknowledged).toBe(0);
    await collect("keep this", 2);
    await Array.fromAsync(
      clientOf(b.gateway).streamAudio({ ...fields, phase: RequestPhase.COMMIT, prompt: "" }),
    );
    expect(b.model.prompts.map(({ text }) => text)).toEqual(["keep this"]);
  });

  it("drops a resumable turn that nobody reads, with what is kept of it", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    await using _a = a.gateway;
    await using _b = b.gateway;
    const asked = { prompt: "p", hardwareId: "d", turnId: randomUUID(), resumable: true };
    const left = new AbortController();
    const client = clientOf(b.gateway);
    const reader = client.streamAudio(asked, { signal: left.signal })[Symbol.asyncIterator]();
    await reader.next();
    left.abort();
    await reader.next().catch(() => undefined);
    await clientOf(a.gateway).interruptSession({ hardwareId: "d" });
    expect(await codeOf(client.streamAudio({ ...asked, resumeAfter: 1n }))).toBe(
      "Canceled interrupted",
    );
  });

  it("drops the distillation of the turns that it means, and of no later one", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await create(server), await create(server)];
    const run = async (turnId: string) => {
      const turn = b.activeTurns.begin(
        { deviceId: "d", sessionId: "s", turnId },
        new AbortController().signal,
      );
      await turn.admitted;
      turn.end();
    };
    const [before, after] = [randomUUID(), randomUUID()];
    await run(before);
    expect((await a.conversation.interrupt("d")).unacknowledged).toBe(0);
    await run(after);
    expect(b.drops.map((isMeant) => [before, after].map(isMeant))).toEqual([[true, false]]);
  });
});

describe("a resumable turn that has only just come", () => {
  const request = {
    deviceId: "d",
    sessionId: "s",
    turnId: randomUUID(),
    prompt: { text: "p" },
    verbatim: false,
    resumable: true,
    voice: {},
  };

  it("is found by an interrupt, before Redis has answered", async () => {
    await using server = await startRedisServer();
    const { conversation } = await create(server);
    const chunks = conversation.talk(request, new AbortController().signal);
    const first = expect(chunks.next()).rejects.toMatchObject({ reason: "interrupted" });
    expect((await conversation.interrupt("d")).sessions).toEqual(["s"]);
    await first;
  });

  it("has what was collected for it to itself", async () => {
    await using server = await startRedisServer();
    const { conversation } = await create(server);
    const piece = { deviceId: "d", sessionId: "s", seq: 0, text: "words", screenshotBytes: 0 };
    conversation.collect(piece);
    const collected = conversation.collected(piece);
    if (!collected) throw new Error("nothing was collected");
    const chunks = conversation.talk({ ...request, collected }, new AbortController().signal);
    const first = chunks.next().catch(() => undefined);
    expect(conversation.collected(piece)).toBeUndefined();
    await conversation.interrupt("d");
    await first;
  });
});
