import {
  create,
  type DescMessage,
  type MessageInitShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { AnalyzeAudioRequestSchema } from "../gen/audioanalyzer/audioanalyzer_pb.ts";
import { HealthCheckRequestSchema } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflectionRequestSchema } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflectionRequestSchema as ServerReflectionAlphaRequestSchema } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import * as agent from "../gen/neira/agent/agent_pb.ts";
import {
  ForgetMemoryRequestSchema,
  ListMemoriesRequestSchema,
  ReportPlaybackRequestSchema,
} from "../gen/parley/v1/conversation_pb.ts";
import {
  InterruptRequestSchema,
  StreamRequestSchema,
  UsageRequestSchema,
  WelcomeRequestSchema,
} from "../gen/streaming/streaming_pb.ts";
import { MAX_SCREENSHOT_BYTES } from "../server/conversation/screenshot-field.ts";
import { MAX_PROMPT_BYTES } from "../server/conversation/turn-request.ts";
import { servedServices } from "../server/handler.ts";
import { limitMethods, messageLimits } from "../server/rpc/message-limits.ts";

const maxMessageBytes = 50 * 1024 * 1024;
const methods = limitMethods(servedServices, maxMessageBytes);

const words = "\u0001".repeat(MAX_PROMPT_BYTES);
const id = "x".repeat(128);
const name = "\u0001".repeat(64);

const kilobytes = (count: number) => "\u0001".repeat(count * 1024);
const items = [{ key: name, value: kilobytes(64), type: name }];
const prompt = forms(agent.PromptRequestSchema, { prompt: kilobytes(64), context: items });

/** A large message of each method of the agent; its contract sets no limits. */
const agentForms = Object.fromEntries(
  Object.entries({
    HealthCheck: forms(agent.HealthCheckRequestSchema, { service: name }),
    ProcessPrompt: prompt,
    ProcessStreamingPrompt: prompt,
    SetContext: forms(agent.ContextRequestSchema, { items, sessionId: id }),
    GetContext: forms(agent.GetContextRequestSchema, { sessionId: id, keys: [name, name] }),
    ProcessFile: forms(agent.FileRequestSchema, { content: new Uint8Array(128 * 1024) }),
    ListFiles: forms(agent.ListFilesRequestSchema, { directory: kilobytes(4), recursive: true }),
    CallCustomFunction: forms(agent.CustomFunctionRequestSchema, { context: items }),
    DesktopClick: forms(agent.DesktopClickRequestSchema, { x: -1, y: -1 }),
    DesktopType: forms(agent.DesktopTypeRequestSchema, { text: kilobytes(8) }),
    BrowserNavigate: forms(agent.BrowserNavigateRequestSchema, { url: kilobytes(8) }),
    BrowserClick: forms(agent.BrowserClickRequestSchema, { selector: kilobytes(8) }),
  }).map(([method, largest]) => [`/${agent.PythonAgentService.typeName}/${method}`, largest]),
);

/** The largest message that each method's contract allows, with text that JSON escapes. */
const largest: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  "/streaming.StreamingService/StreamAudio": forms(StreamRequestSchema, {
    prompt: words,
    chunkText: words,
    screenshot: "/".repeat(4 * Math.ceil(MAX_SCREENSHOT_BYTES / 3)),
    screenWidth: 32_768,
    screenHeight: 32_768,
    hardwareId: id,
    sessionId: id,
  }),
  "/streaming.StreamingService/InterruptSession": forms(InterruptRequestSchema, {
    hardwareId: id,
  }),
  "/streaming.StreamingService/GenerateWelcomeAudio": forms(WelcomeRequestSchema, {
    text: words,
    sessionId: id,
    voice: id,
    language: name,
  }),
  "/streaming.StreamingService/ReportUsage": forms(UsageRequestSchema, {
    hardwareId: id,
    sessionId: id,
    source: name,
    model: name,
    inputTokens: 2 ** 31 - 1,
    outputTokens: 2 ** 31 - 1,
  }),
  "/parley.v1.ConversationService/ReportPlayback": forms(ReportPlaybackRequestSchema, {
    hardwareId: id,
    sessionId: id,
    turnId: name,
    samplesPlayed: 2n ** 64n - 1n,
  }),
  "/parley.v1.ConversationService/ListMemories": forms(ListMemoriesRequestSchema, {
    hardwareId: id,
  }),
  "/parley.v1.ConversationService/ForgetMemory": forms(ForgetMemoryRequestSchema, {
    hardwareId: id,
    memoryIds: Array(1000).fill(name),
  }),
  ...agentForms,
  "/audioanalyzer.AudioAnalysis/AnalyzeAudio": forms(AnalyzeAudioRequestSchema, {
    minioBucketName: "x".repeat(63),
    minioObjectKey: "\u0001".repeat(1024),
  }),
  "/grpc.health.v1.Health/Check": forms(HealthCheckRequestSchema, { service: name }),
  "/grpc.health.v1.Health/Watch": forms(HealthCheckRequestSchema, { service: name }),
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": forms(
    ServerReflectionRequestSchema,
    { messageRequest: { case: "fileContainingSymbol", value: "x".repeat(1024) } },
  ),
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": forms(
    ServerReflectionAlphaRequestSchema,
    { messageRequest: { case: "fileContainingSymbol", value: "x".repeat(1024) } },
  ),
};

function forms<Schema extends DescMessage>(schema: Schema, init: MessageInitShape<Schema>) {
  const message = create(schema, init);
  return [toBinary(schema, message), toJsonString(schema, message)] as const;
}

describe("messageLimits", () => {
  it("has a row for every method that is served, and for no other", () => {
    const served = [...methods.keys()].map((path) => path.slice(1));
    expect(Object.keys(messageLimits).sort()).toEqual(served.sort());
  });

  const withFields = [...methods].filter(([, { method }]) => method.input.fields.length > 0);
  it.each(withFields)("takes the largest message of %s in every form", (path, { limits }) => {
    const [binary = "", json = ""] = largest[path] ?? [];
    expect(binary.length).toBeGreaterThan(0);
    expect(limits.binaryBytes).toBeGreaterThanOrEqual(binary.length);
    expect(limits.inflatedBytes).toBeGreaterThanOrEqual(binary.length);
    expect(limits.jsonBytes).toBeGreaterThanOrEqual(Buffer.byteLength(json));
  });

  it("leaves MAX_MESSAGE_BYTES to StreamAudio in plain binary alone", () => {
    const whole = [...methods].filter(([, { limits }]) =>
      Object.values(limits).includes(maxMessageBytes),
    );
    expect(whole.map(([path]) => path)).toEqual(["/streaming.StreamingService/StreamAudio"]);
    expect(whole[0]?.[1].limits).toEqual({
      binaryBytes: maxMessageBytes,
      inflatedBytes: 12 * 1024 * 1024,
      jsonBytes: 12 * 1024 * 1024,
    });
  });

  it("gives no method more than MAX_MESSAGE_BYTES", () => {
    for (const { limits } of limitMethods(servedServices, 128 * 1024).values()) {
      for (const bytes of Object.values(limits)) expect(bytes).toBeLessThanOrEqual(128 * 1024);
    }
  });
});
