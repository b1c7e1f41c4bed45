import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PythonAgentService } from "../gen/neira/agent/agent_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import { type App, createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import { ProviderError } from "../server/core/errors.ts";
import { faultCommand } from "./agent/agents.ts";
import { startChildGateway } from "./support/child-gateway.ts";
import { createHummingVoice } from "./support/failing-voice.ts";
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from "./support/otlp-receiver.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const traceparent = `00-${TRACE}-${PARENT}-01`;
const secret = "Whisper this in the woods.";

let receiver: OtlpReceiver;

/** Runs calls against a gateway with two text tiers, of which the first breaks off, and two voices. */
async function traced(
  run: (url: string, app: App) => Promise<unknown>,
): Promise<readonly ReceivedSpan[]> {
  const before = receiver.spans.length;
  const settings = {
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STORAGE_ENABLED: "false",
    SHUTDOWN_GRACE: "0",
    LOG_LEVEL: "silent",
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=k%201",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
  };
  const down = new ProviderError("first", "server", "went away");
  const app = createApp(readConfig(settings), {
    languageModels: [
      createScriptedLanguageModel(["One sentence. And ", down], "first"),
      createScriptedLanguageModel(
        ({ text }) => ["another one.", ...(text === "hang" ? [new Promise(() => undefined)] : [])],
        "second",
      ),
    ],
    synthesizers: [
      createHummingVoice("hoarse", () => "at once"),
      createHummingVoice("clear", undefined, { hasWordTimings: false }),
    ],
  });
  const { grpc } = await app.start();
  try {
    await run(`http://127.0.0.1:${grpc.port}`, app);
  } finally {
    await app.stop();
  }
  return receiver.spans.slice(before);
}

beforeAll(async () => {
  receiver = await startOtlpReceiver();
});
afterAll(() => receiver[Symbol.asyncDispose]());

const one = (spans: readonly ReceivedSpan[], name: string) => {
  const found = spans.filter((span) => span.name === name);
  expect(found).toHaveLength(1);
  return found[0] as ReceivedSpan;
};

describe("the trace of a turn", () => {
  let spans: readonly ReceivedSpan[];
  const method = "streaming.StreamingService/StreamAudio";

  beforeAll(async () => {
    spans = await traced(async (baseUrl) => {
      const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
      const request = { prompt: secret, hardwareId: "a-device", sessionId: "s-1" };
      const headers = { traceparent, "x-request-id": "r-1" };
      await Array.fromAsync(client.streamAudio(request, { headers }));
    });
  });

  it("has the caller's trace, the RPC, the turn and a span for each call of a tier", () => {
    const names = new Map(spans.map(({ spanId, name }) => [spanId, name]));
    const tree = spans.map(({ name, parentId, attributes }) => [
      names.get(parentId) ?? parentId,
      name,
      attributes["parley.tier"],
    ]);
    expect(tree.sort()).toEqual(
      [
        [PARENT, method, undefined],
        [method, "invoke_agent", undefined],
        ["invoke_agent", "chat", "first"],
        ["invoke_agent", "chat", "second"],
        ["invoke_agent", "generate_content", "hoarse"],
        ["invoke_agent", "generate_content", "clear"],
        ["invoke_agent", "generate_content", "hoarse"],
        ["invoke_agent", "generate_content", "clear"],
      ].sort(),
    );
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  });

  it("names the RPC as the conventions do", () => {
    const { kind, status, attributes, resource } = one(spans, method);
    expect({ kind, status }).toEqual({ kind: 2, status: 0 });
    expect(attributes).toEqual({
      "rpc.system.name": "grpc",
      "rpc.method": method,
      "rpc.response.status_code": "OK",
      "rpc.status_code": "OK",
      "parley.request.id": "r-1",
    });
    expect(resource).toMatchObject({
      "service.name": "parley",
      "deployment.environment.name": "test",
    });
  });

  it("tells of the turn when its first text and sound came, and whose it was", () => {
    const { attributes, events } = one(spans, "invoke_agent");
    expect(events).toEqual(["first text", "first sound"]);
    expect(attributes).toMatchObject({
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.conversation.id": "s-1",
      "parley.request.id": "r-1",
      "parley.turn.outcome": "done",
    });
  });

  it("tells of each call what the GenAI conventions name, and why it failed", () => {
    const of = (tier: string) => {
      const found = spans.find(({ attributes }) => attributes["parley.tier"] === tier);
      return { status: found?.status, ...found?.attributes };
    };
    expect(of("first")).toMatchObject({
      status: 2,
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "first",
      "gen_ai.request.stream": true,
      "gen_ai.output.type": "text",
      "gen_ai.response.time_to_first_chunk": expect.any(Number),
      "error.type": "server",
    });
    expect(of("second")).toMatchObject({ status: 0, "parley.characters": 12 });
    expect(of("second")).not.toHaveProperty("error.type");
    expect(of("hoarse")).toMatchObject({ status: 2, "error.type": "server" });
    expect(of("clear")).toMatchObject({
      "gen_ai.operation.name": "generate_content",
      "gen_ai.output.type": "speech",
      "parley.audio.seconds": expect.any(Number),
    });
  });

  it("sends histograms by the conventions' names", () => {
    const of = (name: string) => receiver.points.filter((point) => point.name === name);
    expect(of("rpc.server.call.duration")).toContainEqual(
      expect.objectContaining({
        unit: "s",
        count: 1,
        attributes: {
          "rpc.system.name": "grpc",
          "rpc.method": method,
          "rpc.response.status_code": "OK",
        },
      }),
    );
    const failed = { "gen_ai.provider.name": "first", "error.type": "server" };
    expect(of("gen_ai.client.operation.duration")).toContainEqual(
      expect.objectContaining({ attributes: expect.objectContaining(failed) }),
    );
    expect(of("gen_ai.client.operation.time_to_first_chunk").length).toBeGreaterThan(0);
  });

  it("sends the headers that the collector wants, and nothing that was said", () => {
    expect(receiver.headers()).toMatchObject({ "x-key": "k 1" });
    for (const said of [secret, "One sentence", "another one", "a-device"]) {
      expect(receiver.text()).not.toContain(said);
    }
  });
});

describe("the span of an RPC", () => {
  const statusOf = (spans: readonly ReceivedSpan[]) =>
    spans.map(({ attributes }) => attributes["rpc.response.status_code"]);

  it.each([
    ["gRPC", createGrpcTransport, "grpc"],
    ["gRPC-Web", createGrpcWebTransport, "grpc"],
    ["Connect", createConnectTransport, "connectrpc"],
  ] as const)("has the status that a %s client got", async (_, create, system) => {
    const spans = await traced(async (baseUrl) => {
      const client = createClient(StreamingService, create({ baseUrl, httpVersion: "2" }));
      const refused = (call: Promise<unknown>) =>
        expect(call.catch((error) => ConnectError.from(error).code)).resolves.toBe(
          Code.InvalidArgument,
        );
      await refused(Array.fromAsync(client.streamAudio({ prompt: "", hardwareId: "d" })));
      await refused(client.interruptSession({ hardwareId: "" }));
      await client.interruptSession({ hardwareId: "d" });
    });
    expect(statusOf(spans)).toEqual(["INVALID_ARGUMENT", "INVALID_ARGUMENT", "OK"]);
    for (const { attributes, status, parentId } of spans) {
      expect(attributes["rpc.system.name"]).toBe(system);
      // The client's mistake is no error of the server's.
      expect({ status, parentId }).toEqual({ status: 0, parentId: "" });
    }
  });

  it("is CANCELLED for a client that left, whose turn is no error", async () => {
    const spans = await traced(async (baseUrl, app) => {
      const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
      const cancel = new AbortController();
      const turn = client.streamAudio(
        { prompt: "hang", hardwareId: "d" },
        { signal: cancel.signal },
      );
      await turn[Symbol.asyncIterator]().next();
      cancel.abort();
      await expect.poll(() => app.status().activeSessions).toBe(0);
    });
    expect(statusOf(spans.filter(({ kind }) => kind === 2))).toEqual(["CANCELLED"]);
    const { attributes, status } = one(spans, "invoke_agent");
    expect({ status, outcome: attributes["parley.turn.outcome"] }).toEqual({
      status: 0,
      outcome: "disconnected",
    });
  });

  it("is there for /v1/speak, and none for probes", async () => {
    const spans = await traced(async (url) => {
      for (const path of ["/health", "/livez", "/readyz", "/metrics", "/status"]) {
        await (await fetch(`${url}${path}`)).text();
      }
      const body = JSON.stringify({ prompt: "p", hardware_id: "d" });
      const headers = { "content-type": "application/json" };
      await (await fetch(`${url}/v1/speak`, { method: "POST", headers, body })).text();
    });
    const request = one(spans, "POST");
    expect(request.attributes).toMatchObject({ "url.path": "/v1/speak" });
    expect(one(spans, "invoke_agent").parentId).toBe(request.spanId);
  });
});

describe("the agent", () => {
  it("gets the place of a call in its trace, as a tier and by its own RPCs", async () => {
    await using gateway = await startChildGateway({
      AGENT_COMMAND: JSON.stringify(faultCommand()),
      TEXT_TIERS: "agent,offline",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: "50",
    });
    const before = receiver.spans.length;
    const baseUrl = `http://127.0.0.1:${gateway.grpcPort}`;
    const transport = createGrpcTransport({ baseUrl });
    const agent = createClient(PythonAgentService, transport);
    const headers = { traceparent };
    const read = async () =>
      (await agent.callCustomFunction({ functionName: "traceparent" }, { headers })).result;
    const own = await read();
    const turns = createClient(StreamingService, transport);
    await Array.fromAsync(turns.streamAudio({ prompt: "p", hardwareId: "d" }, { headers }));
    const { result } = await agent.callCustomFunction({ functionName: "prompt-traceparent" });
    await expect
      .poll(() => receiver.spans.slice(before).map(({ name }) => name))
      .toEqual(
        expect.arrayContaining(["chat", "neira.agent.PythonAgentService/CallCustomFunction"]),
      );
    const spans = receiver.spans.slice(before);
    const ids = spans.map(({ spanId }) => spanId);
    const chat = spans.find(({ name }) => name === "chat");
    expect(own).toMatch(new RegExp(`^00-${TRACE}-(${ids.join("|")})-01$`));
    expect(result).toBe(`00-${TRACE}-${chat?.spanId}-01`);
  });
});

/** Prints what is loaded of OpenTelemetry. */
const spy = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from "node:module";
registerHooks({ resolve(name, context, next) {
  const found = next(name, context);
  // prom-client loads the API by itself, which does nothing without the SDK.
  const own = /@opentelemetry.(?!api)|telemetry.opentelemetry/;
  if (own.test(found.url)) process.stderr.write("LOADED " + found.url + "\\n");
  return found;
} });
`)}`;

describe("OpenTelemetry", () => {
  it("is not loaded where no collector is named", async () => {
    const loaded = async (env: Record<string, string>) => {
      await using gateway = await startChildGateway(env, ["--import", spy]);
      await fetch(`http://127.0.0.1:${gateway.httpPort}/v1/speak?prompt=p&hardware_id=d`);
      return gateway.log().match(/LOADED/g)?.length ?? 0;
    };
    expect(await loaded({ OTEL_SERVICE_NAME: "parley" })).toBe(0);
    expect(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })).toBeGreaterThan(5);
  });

  it("keeps nobody from a turn, or from stopping, while the collector is gone", async () => {
    await using gateway = await startChildGateway({
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_BSP_SCHEDULE_DELAY: "20",
      LOG_LEVEL: "silent,telemetry=warn",
    });
    const baseUrl = `http://127.0.0.1:${gateway.grpcPort}`;
    const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
    const steps = await Array.fromAsync(client.streamAudio({ prompt: "p", hardwareId: "d" }));
    expect(steps.at(-1)?.content).toEqual({ case: "endMessage", value: "done" });
    const exit = new Promise((resolve) => gateway.process.once("exit", resolve));
    gateway.process.kill("SIGTERM");
    expect(await exit).toBe(0);
  });
});
