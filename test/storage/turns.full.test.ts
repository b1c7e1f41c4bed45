import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it, vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { StorageStatus } from "../../server/storage/storage-contract.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import type { Gateway, GatewayOptions } from "../support/gateway.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createFolder, lockDatabase, readAll, startStoring } from "./databases.ts";
import { runData } from "./run-data.ts";

const WITHOUT_LIBSQL = fileURLToPath(new URL("without-libsql.cjs", import.meta.url));
const never = new Promise<never>(() => undefined);
const hardwareId = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";

const clientOf = ({ url }: Gateway) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: url }));
const startIn = (folder: { readonly path: string }, options: GatewayOptions = {}) =>
  startStoring({ ...options, env: { DATA_DIR: folder.path, ...options.env } });
const turnsOf = async (folder: { file(): string }) =>
  (await readAll(folder.file(), hardwareId))["turns"] ?? [];
const storageOf = (gateway: Gateway) => gateway.status().storage as StorageStatus;

describe("a stored turn", () => {
  it("is durable when the client gets its end message", async () => {
    using folder = createFolder();
    const languageModels = [createScriptedLanguageModel(() => ["It is ", "noon."])];
    await using gateway = await startIn(folder, { languageModels });
    let end: unknown;
    let samples = 0;
    for await (const { content } of clientOf(gateway).streamAudio({
      prompt: "What time is it?",
      hardwareId,
      sessionId: "s-1",
    })) {
      if (content.case === "audioChunk") samples += content.value.audioData.length / 2;
      if (content.case !== "endMessage") continue;
      end = content.value;
      expect(await turnsOf(folder)).toEqual([
        expect.objectContaining({
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          sessionId: "s-1",
          prompt: "What time is it?",
          reply: "It is noon.",
          status: "done",
          sentSamples: samples,
          ttftMs: expect.any(Number),
          ttfaMs: expect.any(Number),
          durationMs: expect.any(Number),
        }),
      ]);
    }
    expect(end).toBe("done");
    const [{ tiers } = {}] = await turnsOf(folder);
    expect(tiers).toEqual(gateway.status().providers.map(({ name }) => name));
    expect(storageOf(gateway)).toMatchObject({ state: "ok", written: 2, lost: 0 });
  });

  it("says that it was interrupted, and how far it had come", async () => {
    using folder = createFolder();
    const languageModels = [createScriptedLanguageModel(() => ["One two. ", "Three. ", never])];
    await using gateway = await startIn(folder, { languageModels });
    const client = clientOf(gateway);
    const stream = client.streamAudio({ prompt: "count", hardwareId })[Symbol.asyncIterator]();
    let samples = 0;
    for (let step = await stream.next(); !step.done; step = await stream.next()) {
      const { content } = step.value;
      if (content.case === "audioChunk") samples += content.value.audioData.length / 2;
      if (samples > 0) break;
    }
    await client.interruptSession({ hardwareId });
    const error = await (async () => {
      for (let step = await stream.next(); !step.done; step = await stream.next());
    })().catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.Canceled });
    await vi.waitFor(async () => {
      const [turn] = await turnsOf(folder);
      expect(turn).toMatchObject({ status: "interrupted", prompt: "count" });
      expect("One two. Three. ").toContain(turn?.["reply"]);
      expect(turn?.["sentSamples"]).toBeGreaterThanOrEqual(samples);
    }, 10_000);
  });

  it("says that it failed, and that its client left", async () => {
    using folder = createFolder();
    const broken = new ProviderError("scripted", "server", "is broken");
    const languageModels = [
      createScriptedLanguageModel(({ text }) =>
        text === "fail" ? [broken] : ["Well. Then", never],
      ),
    ];
    await using gateway = await startIn(folder, { languageModels });
    const client = clientOf(gateway);
    const failed = Array.fromAsync(client.streamAudio({ prompt: "fail", hardwareId }));
    await expect(failed).rejects.toMatchObject({ code: Code.Unavailable });
    const left = new AbortController();
    const stream = client.streamAudio({ prompt: "stay", hardwareId }, { signal: left.signal });
    const reading = (async () => {
      for await (const _ of stream) left.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.Canceled });
    await vi.waitFor(async () => {
      const statuses = (await turnsOf(folder)).map(({ prompt, status }) => [prompt, status]);
      expect(statuses).toEqual([
        ["fail", "failed"],
        ["stay", "disconnected"],
      ]);
    }, 10_000);
  });

  it("has no prompt if its text was given to be spoken as it stands", async () => {
    using folder = createFolder();
    await using gateway = await startIn(folder);
    const prompt = "__GREETING__:Good morning.";
    await Array.fromAsync(clientOf(gateway).streamAudio({ prompt, hardwareId }));
    expect(await turnsOf(folder)).toEqual([
      expect.objectContaining({ prompt: null, reply: "Good morning.", status: "done" }),
    ]);
  });

  it("is written with the gateway's stop, if it runs then", async () => {
    using folder = createFolder();
    const languageModels = [createScriptedLanguageModel(() => ["Well. Then", never])];
    const gateway = await startIn(folder, { languageModels });
    const stream = clientOf(gateway).streamAudio({ prompt: "p", hardwareId });
    const reading = Array.fromAsync(stream).catch(ConnectError.from);
    await vi.waitFor(() => expect(gateway.spoken).toEqual(["Well. "]), 10_000);
    await gateway.stop();
    expect(await reading).toMatchObject({ code: Code.Unavailable });
    expect(await turnsOf(folder)).toEqual([expect.objectContaining({ status: "shutdown" })]);
  });
});

describe("ReportUsage", () => {
  it("answers when the report is durable", async () => {
    using folder = createFolder();
    await using gateway = await startIn(folder);
    const report = { hardwareId, sessionId: "s", source: "agent", model: "m" };
    await clientOf(gateway).reportUsage({ ...report, inputTokens: 3, outputTokens: 4 });
    expect((await readAll(folder.file(), hardwareId))["usage"]).toEqual([
      expect.objectContaining({ sessionId: "s", source: "agent", inputTokens: 3, outputTokens: 4 }),
    ]);
  });
});

describe("STORAGE_ENABLED", () => {
  it("is true by default: turns are stored in DATA_DIR", async () => {
    using folder = createFolder();
    await using gateway = await startIn(folder, { env: { STORAGE_ENABLED: "" } });
    await Array.fromAsync(clientOf(gateway).streamAudio({ prompt: "p", hardwareId }));
    expect(await turnsOf(folder)).toHaveLength(1);
  });

  it("if false, touches no file, and /status says so", async () => {
    using folder = createFolder();
    await using gateway = await startIn(folder, { env: { STORAGE_ENABLED: "false" } });
    await Array.fromAsync(clientOf(gateway).streamAudio({ prompt: "p", hardwareId }));
    const status = await (await fetch(`${gateway.httpUrl}/status`)).json();
    expect(status).toMatchObject({ storage: { state: "off" } });
    expect(existsSync(join(folder.path, "parley.db"))).toBe(false);
  });
});

describe("a gateway without libSQL's package for the platform", () => {
  it("serves, with storage off, and says so in the log and in /status", async () => {
    using folder = createFolder();
    const env = { STORAGE_ENABLED: "", DATA_DIR: folder.path, LOG_LEVEL: "error" };
    await using gateway = await startChildGateway(env, ["--require", WITHOUT_LIBSQL]);
    const baseUrl = `http://127.0.0.1:${gateway.grpcPort}`;
    const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
    for (const prompt of ["first", "second"]) {
      const steps = await Array.fromAsync(client.streamAudio({ prompt, hardwareId }));
      expect(steps.at(-1)?.content.value).toBe("done");
    }
    const status = await (await fetch(`http://127.0.0.1:${gateway.httpPort}/status`)).json();
    const lastError = expect.stringContaining("package for this platform is missing");
    expect(status).toMatchObject({ storage: { state: "off", written: 0, lastError } });
    expect(gateway.log()).toContain("storage off; turns are not stored");
    expect(readdirSync(folder.path)).not.toContain("parley.db");
  });
});

describe("npm run data", () => {
  const secret = "the pin is 4711 in truth";

  it("exports and erases what is kept of a device, while the gateway runs", async () => {
    using folder = createFolder();
    const languageModels = [createScriptedLanguageModel(({ text }) => [`You said: ${text}`])];
    await using gateway = await startIn(folder, { languageModels });
    const client = clientOf(gateway);
    await Array.fromAsync(client.streamAudio({ prompt: secret, hardwareId }));
    await Array.fromAsync(client.streamAudio({ prompt: "other", hardwareId: "another" }));

    const exported = await runData(folder, "export", hardwareId);
    expect(exported).toMatchObject({ code: 0, error: "" });
    expect(JSON.parse(exported.out)).toMatchObject({
      devices: [{ id: hardwareId }],
      sessions: [{ deviceId: hardwareId }],
      turns: [{ prompt: secret, reply: `You said: ${secret}` }],
      memories: [],
      screenshots: [],
      usage: [],
    });
    expect(exported.out).not.toContain("other");

    const erased = await runData(folder, "erase", hardwareId);
    expect(erased).toMatchObject({ code: 0, error: "" });
    expect(JSON.parse(erased.out)).toMatchObject({ erased: { devices: 1, sessions: 1, turns: 1 } });
    const files = readdirSync(folder.path).filter((name) => name.startsWith("parley.db"));
    for (const name of files) {
      const bytes = readFileSync(join(folder.path, name));
      expect([name, bytes.includes("4711")]).toEqual([name, false]);
      expect(bytes.includes(hardwareId)).toBe(false);
    }
    expect((await readAll(folder.file(), "another"))["turns"]).toHaveLength(1);
    await Array.fromAsync(client.streamAudio({ prompt: "again", hardwareId }));
    expect(await turnsOf(folder)).toHaveLength(1);
  });

  it("says so where a reader keeps what was erased in the database's log", async () => {
    using folder = createFolder();
    await using gateway = await startIn(folder, {});
    await Array.fromAsync(clientOf(gateway).streamAudio({ prompt: secret, hardwareId }));
    const file = join(folder.path, "parley.db");
    const leave = await lockDatabase(file, "BEGIN; SELECT count(*) FROM turns");
    const held = await runData(folder, "erase", hardwareId);
    expect(held).toMatchObject({
      code: 1,
      error: expect.stringContaining("Run the command again"),
    });
    expect(JSON.parse(held.out)).toMatchObject({ erased: { turns: 1 } });
    await leave();
    expect(await runData(folder, "erase", hardwareId)).toMatchObject({ code: 0, error: "" });
    expect(readFileSync(`${file}-wal`).includes("4711")).toBe(false);
  });

  it("says what is wrong, and makes no database", async () => {
    using folder = createFolder();
    const usage = "Usage: npm run --silent data -- export|erase DEVICE\n";
    for (const args of [
      ["drop", "d"],
      ["erase", "d", "e"],
    ]) {
      expect(await runData(folder, ...args)).toEqual({ code: 1, out: "", error: usage });
    }
    expect(await runData(folder, "export", "d")).toMatchObject({
      code: 1,
      error: "There is no database: nothing is kept.\n",
    });
    expect(readdirSync(folder.path)).toEqual([]);
  });
});
