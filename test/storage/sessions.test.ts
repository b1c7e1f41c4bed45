import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createStorage } from "../../server/storage/storage.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import type { Gateway } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createFolder, query, readAll, startStoring } from "./databases.ts";

const never = new Promise<never>(() => undefined);
const hardwareId = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
const clientOf = ({ grpcPort }: { readonly grpcPort: number }) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }));
const sessionsIn = async (url: string) => (await readAll(url, hardwareId))["sessions"] ?? [];
const model = () =>
  createScriptedLanguageModel(({ text }) => (text === "hang" ? ["Well. T", never] : [`${text}!`]));

async function interruptOne(gateway: Gateway, sessionId: string) {
  const client = clientOf(gateway);
  const stream = client.streamAudio({ prompt: "hang", hardwareId, sessionId });
  const reading = (async () => {
    for await (const _ of stream) await client.interruptSession({ hardwareId });
  })();
  await expect(reading).rejects.toThrow("interrupted");
}

describe("a session in the database", () => {
  it("is active, is interrupted until its next turn, and has ended when the gateway stops", async () => {
    using folder = createFolder();
    const gateway = await startStoring({
      languageModels: [model()],
      env: { DATA_DIR: folder.path },
    });
    const talk = (sessionId: string) =>
      Array.fromAsync(clientOf(gateway).streamAudio({ prompt: "p", hardwareId, sessionId }));
    await talk("a");
    expect(await sessionsIn(folder.file())).toMatchObject([
      { id: "a", status: "active", endedAt: null },
    ]);
    await interruptOne(gateway, "a");
    await expect.poll(() => sessionsIn(folder.file())).toMatchObject([{ status: "interrupted" }]);
    await talk("a");
    expect(await sessionsIn(folder.file())).toMatchObject([{ status: "active" }]);
    await interruptOne(gateway, "b");
    await gateway.stop();
    expect(await sessionsIn(folder.file())).toMatchObject([
      { id: "a", status: "ended", endedAt: expect.any(Number) },
      { id: "b", status: "interrupted", endedAt: expect.any(Number) },
    ]);
  });

  it("ends as timeout once it is idle for too long, and is active again with its next turn", async () => {
    using folder = createFolder();
    const url = folder.file();
    const open = async (sessionIdleMs: number) => {
      const logger = createLogger("silent");
      const storage = createStorage({ url, timeoutMs: 10_000, sessionIdleMs, logger });
      await storage.start();
      return storage;
    };
    const first = await open(300_000);
    const turn = { deviceId: hardwareId, sessionId: "s", prompt: "p" };
    const state = { reply: "Yes.", status: "done", sentSamples: 0, tiers: [] };
    await first.begin({ ...turn, id: "t1" }).write(state);
    await query(url, "UPDATE sessions SET last_turn_at = 5");
    // As after kill -9: another run of the gateway finds it.
    const second = await open(300_000);
    await expect
      .poll(() => sessionsIn(url), { timeout: 10_000 })
      .toMatchObject([{ status: "timeout", endedAt: expect.any(Number) }]);
    await second.begin({ ...turn, id: "t2" }).write(state);
    expect(await sessionsIn(url)).toMatchObject([{ status: "active", endedAt: null }]);
    await Promise.all([first.stop(), second.stop()]);
  });
});

describe("a session's history", () => {
  it("is in the next prompt after the gateway was killed and started again", async () => {
    using folder = createFolder();
    {
      await using killed = await startChildGateway({
        STORAGE_ENABLED: "true",
        DATA_DIR: folder.path,
      });
      const prompt = "say: Your name is Ada.";
      const steps = clientOf(killed).streamAudio({ prompt, hardwareId, sessionId: "s" });
      expect((await Array.fromAsync(steps)).at(-1)?.content.value).toBe("done");
    }
    const languageModel = model();
    await using gateway = await startStoring({
      languageModels: [languageModel],
      env: { DATA_DIR: folder.path },
    });
    const ask = (device: string, sessionId?: string) =>
      Array.fromAsync(
        clientOf(gateway).streamAudio({
          prompt: "My name?",
          hardwareId: device,
          ...(sessionId && { sessionId }),
        }),
      );
    await ask(hardwareId, "s");
    await ask("another", "s");
    await ask(hardwareId);
    const histories = languageModel.prompts.map(({ history = [] }) =>
      history.map(({ user, assistant }) => [user, assistant]),
    );
    expect(histories).toEqual([[["say: Your name is Ada.", "Your name is Ada."]], [], []]);
  });
});
