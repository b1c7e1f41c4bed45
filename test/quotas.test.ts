import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startGeminiEmulator } from "../emulators/gemini.ts";
import { ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { scopes } from "../server/auth/caller.ts";
import { createToken, writeTokenFile } from "../server/auth/token-file.ts";
import { createGeminiModel } from "../server/providers/gemini/gemini.ts";
import { type GatewayOptions, startGateway } from "./support/gateway.ts";
import { SAMPLES_A_LETTER } from "./support/spelling-voice.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parley-quotas-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** A text of more than a second of sound. */
const second = `${"x".repeat(Math.ceil(48_000 / SAMPLES_A_LETTER))}.`;
const start = (env: Readonly<Record<string, string>>, options: GatewayOptions = {}) =>
  startGateway({ ...options, env: { STORAGE_ENABLED: "true", DATA_DIR: folder, ...env } });
const open = (url: string) => createClient(StreamingService, createGrpcTransport({ baseUrl: url }));
type Client = ReturnType<typeof open>;

/** Reads a stream to its end. The error that it ends with, or undefined. */
async function errorOf(stream: AsyncIterable<unknown>): Promise<ConnectError | undefined> {
  try {
    for await (const message of stream) expect(message).toBeDefined();
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}

const talk = (client: Client, hardwareId: string) =>
  errorOf(client.streamAudio({ prompt: second, hardwareId }));

function told(error: ConnectError | undefined) {
  const [info] = error?.findDetails(ErrorInfoSchema) ?? [];
  const [retry] = error?.findDetails(RetryInfoSchema) ?? [];
  return { code: error?.code, ...info?.metadata, seconds: Number(retry?.retryDelay?.seconds) };
}

const secondsLeft = () => 86_400 - (Math.floor(Date.now() / 1000) % 86_400);

describe("the quota of sound", () => {
  it("lets the turn that exceeds it end, refuses the next, and says when the day is over", async () => {
    await using gateway = await start({ QUOTA_AUDIO_SECONDS: "1" });
    const client = open(gateway.url);
    expect(await talk(client, "a")).toBeUndefined();
    const error = await talk(client, "a");
    const { seconds, ...refusal } = told(error);
    expect(refusal).toEqual({ code: Code.ResourceExhausted, limit: "audio_quota" });
    expect(Math.abs(seconds - secondsLeft())).toBeLessThan(60);
    expect(error?.rawMessage).toContain("used up its quota of 1 s of sound for today");
    expect(await talk(client, "b")).toBeUndefined();
    const response = await fetch(`${gateway.httpUrl}/v1/speak`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "Hi.", hardware_id: "a" }),
    });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await response.json()).toMatchObject({ error: { limit: "audio_quota" } });
  });

  it("outlives a restart, at the first turn after it", async () => {
    for (const expected of [undefined, Code.ResourceExhausted]) {
      await using gateway = await start({ QUOTA_AUDIO_SECONDS: "1" });
      expect((await talk(open(gateway.url), "a"))?.code).toBe(expected);
    }
  });

  it("counts greetings for the device of the token", async () => {
    const { token, stored } = createToken({ device: "d", scopes });
    await writeTokenFile(join(folder, "tokens.json"), { tokens: [stored], revokedJwts: [] });
    await using gateway = await start({ QUOTA_AUDIO_SECONDS: "1", AUTH_MODE: "token" });
    const client = open(gateway.url);
    const headers = { authorization: `Bearer ${token}` };
    const greet = () => errorOf(client.generateWelcomeAudio({ text: second }, { headers }));
    expect(await greet()).toBeUndefined();
    expect(told(await greet())).toMatchObject({ limit: "audio_quota" });
  });
});

describe("the quota of tokens", () => {
  it("refuses turns, never a report, and outlives a restart", async () => {
    const usage = { sessionId: "", source: "s", model: "m", inputTokens: 60, outputTokens: 40 };
    const report = { hardwareId: "a", ...usage };
    for (const expected of [undefined, "token_quota"]) {
      await using gateway = await start({ QUOTA_TOKENS: "100" });
      const client = open(gateway.url);
      expect((told(await talk(client, "a")) as { limit?: string }).limit).toBe(expected);
      expect((await client.reportUsage(report)).success).toBe(true);
      expect(told(await talk(client, "a"))).toMatchObject({ limit: "token_quota" });
      expect(await talk(client, "b")).toBeUndefined();
    }
  });

  it("counts what a model's vendor counts, and stores it with the turn", async () => {
    const gemini = await startGeminiEmulator();
    gemini.play({ deltas: ["Hello there."] });
    const access = { apiKey: "key", model: "emulated", baseUrl: gemini.url };
    for (const expected of [undefined, "token_quota"]) {
      const languageModels = [createGeminiModel(access)];
      await using gateway = await start({ QUOTA_TOKENS: "2" }, { languageModels });
      const client = open(gateway.url);
      expect((told(await talk(client, "a")) as { limit?: string }).limit).toBe(expected);
      expect(told(await talk(client, "a"))).toMatchObject({ limit: "token_quota" });
    }
    await gemini.stop();
    expect(gemini.requests).toHaveLength(1);
  });
});
