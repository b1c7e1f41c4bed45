import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

const never = new Promise<never>(() => undefined);
const model = () =>
  createScriptedLanguageModel(({ text }) => (text === "hang" ? ["Well. T", never] : [text]));
const start = (env: Readonly<Record<string, string>>) =>
  startGateway({ languageModels: [model()], env });
const clientOf = ({ url }: Gateway) =>
  createClient(StreamingService, createGrpcTransport({ baseUrl: url }));
const statusOf = async ({ httpUrl }: Gateway) => (await fetch(`${httpUrl}/status`)).json();

/** A turn that runs until its device is interrupted. */
async function hang(gateway: Gateway, hardwareId: string) {
  const steps = clientOf(gateway).streamAudio({ prompt: "hang", hardwareId });
  const stream = steps[Symbol.asyncIterator]();
  await stream.next();
  return async () => {
    await clientOf(gateway).interruptSession({ hardwareId });
    await expect(
      (async () => {
        while (!(await stream.next()).done);
      })(),
    ).rejects.toThrow("interrupted");
  };
}

describe.each([
  ["MAX_CONCURRENT_REQUESTS", "one", "this hardware_id runs 1 streams already"],
  ["MAX_SESSIONS", "another", "gateway busy; retry in 2 s"],
])("%s", (setting, hardwareId, message) => {
  it("refuses the next turn with RESOURCE_EXHAUSTED and a retry hint, over gRPC and HTTP", async () => {
    await using gateway = await start({ [setting]: "1" });
    const release = await hang(gateway, "one");
    const refused = await Array.fromAsync(
      clientOf(gateway).streamAudio({ prompt: "p", hardwareId }),
    ).catch(ConnectError.from);
    expect(refused).toMatchObject({ code: Code.ResourceExhausted });
    const error = refused as ConnectError;
    expect(error.rawMessage).toContain(message);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 2n } }]);
    const answer = await fetch(`${gateway.httpUrl}/v1/speak`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "p", hardware_id: hardwareId }),
    });
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "2"]);
    await release();
  });
});

describe("SESSION_TIMEOUT", () => {
  it("ends a device's current session; the next turn opens another, without its history", async () => {
    const languageModel = model();
    await using gateway = await startGateway({
      languageModels: [languageModel],
      env: { SESSION_TIMEOUT: "2" },
    });
    const talk = () =>
      Array.fromAsync(clientOf(gateway).streamAudio({ prompt: "p", hardwareId: "d" }));
    await talk();
    await talk();
    await sleep(2100);
    await talk();
    const [first, second, third] = languageModel.prompts;
    expect(second?.sessionId).toBe(first?.sessionId);
    expect(second?.history).toHaveLength(1);
    expect(third?.sessionId).not.toBe(first?.sessionId);
    expect(third?.history).toBeUndefined();
  });
});

describe("/status", () => {
  it("tells turns in progress, the most at once, their ages, and cuts by their reason", async () => {
    await using gateway = await start({});
    const releases = [await hang(gateway, "a"), await hang(gateway, "b")];
    await sleep(150);
    expect(await statusOf(gateway)).toMatchObject({ sessions: { active: 2, peak: 2 } });
    const { sessions } = gateway.status();
    expect(sessions.oldestSeconds).toBeGreaterThanOrEqual(sessions.meanSeconds);
    expect(sessions.meanSeconds).toBeGreaterThan(0);
    for (const release of releases) await release();
    await Array.fromAsync(
      clientOf(gateway).streamAudio({ prompt: "It goes on for a while.", hardwareId: "c" }),
    );
    await clientOf(gateway).interruptSession({ hardwareId: "c" });
    expect(await statusOf(gateway)).toMatchObject({
      sessions: { active: 0, peak: 2, oldestSeconds: 0, cut: { interrupted: 2 }, cutAfterSent: 1 },
    });
  });
});
