import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, describe, expect, it, vi } from "vitest";
import { startOpenaiEmulator } from "../../emulators/openai.ts";
import { PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { startChildGateway } from "../support/child-gateway.ts";
import { createSpellingVoice, readSpelling } from "../support/spelling-voice.ts";
import { exampleCommand, faultCommand } from "./agents.ts";

const folder = await mkdtemp(join(tmpdir(), "agent-gateway-"));
afterAll(() => rm(folder, { recursive: true }));

/** A gateway in this process with an agent behind it. */
async function startGateway(argv: readonly string[] | undefined, env: Record<string, string> = {}) {
  const config = readConfig({
    PATH: process.env["PATH"],
    HTTP_PORT: "0",
    SHUTDOWN_GRACE: "0",
    GRPC_PORT: "0",
    STORAGE_ENABLED: "false",
    LOG_LEVEL: "silent",
    AGENT_RETRY_INTERVAL: "0.3",
    ...(argv && { AGENT_COMMAND: JSON.stringify(argv) }),
    ...env,
  });
  const app = createApp(config, { synthesizers: [createSpellingVoice()] });
  const { http, grpc } = await app.start();
  const urls = [http, grpc].map(({ port }) => `http://127.0.0.1:${port}`);
  const module = () => app.status().modules.find(({ name }) => name === "agent");
  return {
    urls,
    client: clientOf(createGrpcTransport({ baseUrl: urls[1] ?? "" })),
    module,
    transport: createGrpcTransport({ baseUrl: urls[1] ?? "" }),
    untilReady: () =>
      vi.waitFor(() => expect(module()?.state).toBe("ready"), { timeout: 20_000, interval: 5 }),
    [Symbol.asyncDispose]: app.stop,
  };
}

function clientOf(transport: Transport) {
  return createClient(PythonAgentService, transport);
}

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web over HTTP/2": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  Connect: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect in JSON": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false }),
};

describe("PythonAgentService of the gateway", () => {
  it("passes calls through to the agent, on every port and in every protocol", async () => {
    await using gateway = await startGateway(exampleCommand());
    for (const [name, open] of Object.entries(transports)) {
      for (const url of gateway.urls) {
        const client = clientOf(open(url));
        // The first of these waits for the agent, which is still starting.
        expect(await client.healthCheck({}), name).toMatchObject({ healthy: true });
        const { response } = await client.processPrompt({ prompt: "hello" });
        expect(response, name).toBe("You said: hello");
        const steps = await Array.fromAsync(client.processStreamingPrompt({ prompt: "a b" }));
        expect(steps.map(({ delta }) => delta).join(""), name).toBe("You said: a b");
        expect(steps.at(-1)?.finished).toBe(true);
      }
    }
    const { client } = gateway;
    const sessionId = "session";
    const items = [{ key: "name", value: "Ada", type: "text" }];
    await client.setContext({ sessionId, items });
    expect((await client.getContext({ sessionId })).items).toMatchObject(items);
    expect((await client.getContext({ sessionId, keys: ["other"] })).items).toEqual([]);
    const call = { functionName: "add", parameters: { a: "2", b: "3" } };
    expect(await client.callCustomFunction(call)).toMatchObject({ success: true, result: "5" });
    expect(gateway.module()).toMatchObject({
      state: "ready",
      restarts: 0,
      successRate: 1,
      metrics: {
        initialization_time: expect.any(Number),
        circuit_breaker_state: "CLOSED",
        failure_rate: 0,
        response_time: expect.any(Number),
      },
    });
  });

  it("refuses what acts on the host, unless AGENT_ALLOW names it", async () => {
    await using gateway = await startGateway(faultCommand(), { AGENT_ALLOW: "DesktopClick" });
    const { client } = gateway;
    expect(await client.desktopClick({ x: 3, y: 4 })).toMatchObject({ success: true, x: 3, y: 4 });
    const refused = [
      client.processFile({}),
      client.listFiles({}),
      client.desktopType({}),
      client.browserNavigate({}),
      client.browserClick({}),
      client.browserGetHTML({}),
    ];
    for (const call of refused) {
      await expect(call).rejects.toThrow(/^\[permission_denied\] \w+ acts on .* AGENT_ALLOW/);
    }
  });

  it("names the methods there are where the agent lacks one", async () => {
    await using gateway = await startGateway(exampleCommand(), { AGENT_ALLOW: "DesktopClick" });
    await expect(gateway.client.desktopClick({})).rejects.toThrow(
      /^\[unimplemented\] the agent has no method DesktopClick; it has HealthCheck, ProcessPrompt, (?!.*DesktopClick)/,
    );
    const url = `${gateway.urls[0]}/neira.agent.PythonAgentService/Guess`;
    const guess = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    expect(await guess.json()).toMatchObject({
      code: "unimplemented",
      message: expect.stringContaining("HealthCheck, ProcessPrompt, ProcessStreamingPrompt"),
    });
  });

  it("tells the method and the time of an error, and nothing of the agent's own failures", async () => {
    await using gateway = await startGateway(faultCommand());
    const failed = gateway.client.processPrompt({ prompt: "fail" });
    await expect(failed).rejects.toThrow("[internal] the agent failed");
    const { metadata } = await failed.catch((error) => error);
    expect(metadata.get("parley-channel")).toBe("neira.agent.PythonAgentService/ProcessPrompt");
    expect(Date.now() - Date.parse(metadata.get("parley-time"))).toBeLessThan(60_000);
    const refused = gateway.client.processPrompt({ prompt: "refuse" });
    await expect(refused).rejects.toThrow("[not_found] no such topic");
    expect(gateway.module()?.metrics?.failure_rate).toBe(0.5);
  });

  it("tells the agent of a cancel and of a deadline", async () => {
    await using gateway = await startGateway(faultCommand());
    const { client } = gateway;
    const untilTold = (functionName: string, count: number) =>
      vi.waitFor(async () => {
        const { result } = await client.callCustomFunction({ functionName });
        expect(result.split(",")).toEqual(Array(count).fill("hang"));
      }, 5000);
    const cancel = new AbortController();
    const unary = client.processPrompt({ prompt: "hang" }, { signal: cancel.signal });
    const stream = Array.fromAsync(
      client.processStreamingPrompt({ prompt: "hang" }, { signal: cancel.signal }),
    );
    const outcomes = Promise.allSettled([unary, stream]);
    await untilTold("received", 2);
    cancel.abort();
    const both = (await outcomes).map(({ status }) => status);
    expect(both).toEqual(["rejected", "rejected"]);
    await untilTold("cancelled", 2);
    const late = client.processPrompt({ prompt: "hang" }, { timeoutMs: 200 });
    await expect(late).rejects.toThrow("[deadline_exceeded]");
    await untilTold("cancelled", 3);
    // Three callers lost patience; the agent is not to blame.
    expect(gateway.module()?.metrics).toMatchObject({
      circuit_breaker_state: "CLOSED",
      failure_rate: 0,
    });
  });

  it("gives the agent its documented environment, and none of the gateway's keys", async () => {
    const canary = "canary-5f3a";
    const env = {
      GEMINI_API_KEY: canary,
      OPENAI_API_KEY: canary,
      AZURE_SPEECH_KEY: canary,
      AZURE_SPEECH_REGION: "westeurope",
      DATABASE_AUTH_TOKEN: canary,
      AWS_SECRET_ACCESS_KEY: canary,
      LANG: "C.UTF-8",
    };
    await using gateway = await startGateway(faultCommand(), { ...env, TEXT_TIERS: "offline" });
    const { result } = await gateway.client.callCustomFunction({ functionName: "env" });
    expect(result).not.toContain(canary);
    expect(JSON.parse(result)).toMatchObject({
      NEIRA_AGENT_MODE: "production",
      NEIRA_LOG_LEVEL: "info",
      NEIRA_SOCKET_PATH: expect.stringMatching(/^\/.*neira_agent\.sock$/),
      LANG: "C.UTF-8",
      PATH: process.env["PATH"],
    });
  });
});

describe("without an agent", () => {
  it("prompts get a mock that says so, HealthCheck the reason, and the rest UNAVAILABLE", async () => {
    await using gateway = await startGateway(["/nowhere/neira-agent"]);
    const { client } = gateway;
    const reason = "the agent cannot be started (ENOENT)";
    expect(await client.healthCheck({})).toMatchObject({ healthy: false, message: reason });
    expect(await client.processPrompt({ prompt: "hello" })).toMatchObject({
      response: `This is a mock reply, because there is no agent: ${reason}.`,
      metadata: { mode: "mock" },
    });
    const steps = await Array.fromAsync(client.processStreamingPrompt({ prompt: "hello" }));
    expect(steps).toMatchObject([
      { delta: expect.stringContaining("mock"), metadata: { mode: "mock" } },
      { finished: true, metadata: { mode: "mock" } },
    ]);
    await expect(client.setContext({})).rejects.toThrow(`[unavailable] no agent: ${reason}`);
    expect(gateway.module()).toMatchObject({ state: "mock", reason });
  });

  it("the real one is taken as soon as it is there", async () => {
    const path = join(folder, "later.ts");
    await using gateway = await startGateway([process.execPath, path]);
    const reply = await gateway.client.processPrompt({ prompt: "hello" });
    expect(reply.metadata).toEqual({ mode: "mock" });
    const [, entry = ""] = exampleCommand();
    await writeFile(path, `await import(${JSON.stringify(entry)});`);
    await gateway.untilReady();
    expect((await gateway.client.processPrompt({ prompt: "hello" })).response).toBe(
      "You said: hello",
    );
  });

  it("none is started where none is configured", async () => {
    await using gateway = await startGateway(undefined);
    expect(await gateway.client.healthCheck({})).toMatchObject({ healthy: false });
    expect(gateway.module()).toMatchObject({
      state: "off",
      reason: "AGENT_COMMAND and AGENT_DIR are not set",
    });
  });
});

/** Runs a turn. */
async function talk(transport: Transport) {
  const client = createClient(StreamingService, transport);
  let text = "";
  const pcm: Int16Array[] = [];
  for await (const { content } of client.streamAudio({ prompt: "Count.", hardwareId: "device" })) {
    if (content.case === "textChunk") text += content.value;
    if (content.case === "audioChunk") {
      pcm.push(new Int16Array(Uint8Array.from(content.value.audioData).buffer));
    }
  }
  return { text, spoken: readSpelling(pcm) };
}

describe("the tier agent", () => {
  it("answers a turn", async () => {
    await using gateway = await startGateway(exampleCommand(), { TEXT_TIERS: "agent,offline" });
    await gateway.untilReady();
    const { text, spoken } = await talk(gateway.transport);
    expect(text).toBe("You said: Count.");
    expect(spoken).toContain("You said: Count.");
  });

  it("is a failure while there is no agent: the next tier answers, and no mock is spoken", async () => {
    await using gateway = await startGateway(["/nowhere"], { TEXT_TIERS: "agent,offline" });
    const { text, spoken } = await talk(gateway.transport);
    expect(text).toContain("No language model is set up here");
    expect(spoken).not.toContain("mock");
  });

  it("hands over to the next tier when it crashes in mid-reply: each word once", async () => {
    const emulator = await startOpenaiEmulator();
    emulator.play({ deltas: ["One two ", "three four."] });
    await using gateway = await startGateway(faultCommand("die-midway"), {
      TEXT_TIERS: "agent,langchain",
      LANGCHAIN_MODEL: "openai:emulated",
      OPENAI_API_KEY: "emulated",
      OPENAI_BASE_URL: `${emulator.url}/v1`,
    });
    await gateway.untilReady();
    const { text } = await talk(gateway.transport);
    expect(text).toBe("One two three four.");
    await emulator.stop();
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("the gateway's end", () => {
  it.each(["SIGTERM", "SIGKILL"] as const)("by %s leaves no agent behind", async (signal) => {
    await using gateway = await startChildGateway({
      AGENT_COMMAND: JSON.stringify(faultCommand()),
    });
    const baseUrl = `http://127.0.0.1:${gateway.grpcPort}`;
    const client = clientOf(createGrpcTransport({ baseUrl }));
    const pid = Number((await client.callCustomFunction({ functionName: "pid" })).result);
    expect(isAlive(pid)).toBe(true);
    gateway.process.kill(signal);
    await once(gateway.process, "exit");
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 5000);
  });
});
