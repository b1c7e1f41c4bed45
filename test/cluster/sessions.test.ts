import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import type { Prompt } from "../../server/models/language-model.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { itUnless } from "../support/it-unless.ts";
import { hasRedis, startRedisServer } from "../support/redis-server.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";

const it = itUnless(!hasRedis());

async function open(redisUrl: string, env: Readonly<Record<string, string>> = {}) {
  const model = createScriptedLanguageModel(({ text }: Prompt) => [`You said ${text}.`]);
  const gateway = await startGateway({
    languageModels: [model],
    env: { REDIS_URL: redisUrl, ...env },
  });
  return { gateway, model };
}

async function say(gateway: Gateway, prompt: string): Promise<string> {
  const transport = createGrpcTransport({ baseUrl: gateway.url });
  const client = createClient(StreamingService, transport);
  let sessionId = "";
  // A client that names no session, as the native one.
  for await (const message of client.streamAudio({ prompt, hardwareId: "device" })) {
    sessionId ||= message.sessionId ?? "";
  }
  return sessionId;
}

describe("a conversation over several gateways", () => {
  it("goes on in the same session, with what was just heard on another", async () => {
    await using server = await startRedisServer();
    const [a, b] = [await open(server.url), await open(server.url)];
    await using _a = a.gateway;
    await using _b = b.gateway;
    await say(a.gateway, "one");
    await say(b.gateway, "two");
    await say(a.gateway, "three");
    const earlier = b.model.prompts[0]?.history?.map(({ user, assistant }) => [user, assistant]);
    expect(earlier).toEqual([["one", "You said one."]]);
    const last = a.model.prompts[1];
    expect(last?.history?.map(({ user }) => user)).toEqual(["one", "two"]);
    expect(last?.sessionId).toBe(b.model.prompts[0]?.sessionId);
  });

  it("holds a device's streams to the limit of one, over both", async () => {
    await using server = await startRedisServer();
    const env = { MAX_CONCURRENT_REQUESTS: "1" };
    const [a, b] = [await open(server.url, env), await open(server.url, env)];
    await using _a = a.gateway;
    await using _b = b.gateway;
    const left = new AbortController();
    const client = (gateway: Gateway) =>
      createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
    const asked = { prompt: "one two three four five", hardwareId: "device", leadMs: 100 };
    const stream = client(a.gateway).streamAudio(asked, { signal: left.signal });
    const reader = stream[Symbol.asyncIterator]();
    await reader.next();
    await expect(say(b.gateway, "two")).rejects.toThrow(
      "this hardware_id runs 1 streams already, the most it may",
    );
    expect(b.model.prompts).toEqual([]);
    left.abort();
    await expect(reader.next()).rejects.toThrow();
    await expect
      .poll(() =>
        say(b.gateway, "two").then(
          () => "said",
          () => "refused",
        ),
      )
      .toBe("said");
  });
});
