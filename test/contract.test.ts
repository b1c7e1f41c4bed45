import { setTimeout as delay } from "node:timers/promises";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamingService, type StreamResponse } from "../gen/streaming/streaming_pb.ts";
import { ProviderError } from "../server/core/errors.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel, type ReplyStep } from "./support/scripted-language-model.ts";
import { createSpellingVoice, SAMPLES_A_LETTER } from "./support/spelling-voice.ts";

const never = new Promise<never>(() => undefined);
let reply: readonly ReplyStep[] = [];
let languageModel = createScriptedLanguageModel([]);
let gateway: Gateway;

/** The voice fails for this sentence. */
const gateOf = (text: string) =>
  text === "Fail."
    ? Promise.reject(new ProviderError("spelling", "server", "went away"))
    : undefined;

async function restart(env: Record<string, string> = {}) {
  await gateway?.stop();
  languageModel = createScriptedLanguageModel(() => reply);
  gateway = await startGateway({
    languageModels: [languageModel],
    synthesizers: [createSpellingVoice({ gate: gateOf })],
    env,
  });
}

beforeEach(async () => {
  reply = ["Fine."];
  await restart();
});
afterEach(async () => {
  await gateway.stop();
});

const client = () =>
  createClient(
    StreamingService,
    createConnectTransport({ baseUrl: gateway.httpUrl, httpVersion: "1.1" }),
  );
const good = { prompt: "hi", hardwareId: "device" };

/** The steps of a stream, and the status that it ended with. */
async function run(steps: AsyncIterable<StreamResponse>) {
  const got: StreamResponse["content"][] = [];
  try {
    for await (const { content } of steps) got.push(content);
  } catch (error) {
    return { got, error: error as { code: Code; rawMessage: string } };
  }
  return { got, error: undefined };
}

/** An id that the gateway made up. */
const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

describe("StreamAudio", () => {
  it("describes each audio chunk as the contract says, and ends with done", async () => {
    const { got, error } = await run(client().streamAudio(good));
    expect(error).toBeUndefined();
    expect(got[0]).toEqual({ case: "textChunk", value: "Fine." });
    const samples = 5 * SAMPLES_A_LETTER;
    expect(got[1]?.value).toMatchObject({
      dtype: "int16",
      shape: [samples],
      sampleRate: 48_000,
      channels: 1,
    });
    expect(got[1]?.value).toHaveProperty("audioData.length", 2 * samples);
    expect(got.slice(2)).toEqual([{ case: "endMessage", value: "done" }]);
  });

  it("speaks a greeting as it stands, without a model, and ends with greeting_done", async () => {
    const { got } = await run(client().streamAudio({ ...good, prompt: "__GREETING__:Welcome. " }));
    expect(got[0]).toEqual({ case: "textChunk", value: "Welcome. " });
    expect(got.at(-1)).toEqual({ case: "endMessage", value: "greeting_done" });
    expect(languageModel.prompts).toEqual([]);
  });

  it.each<[string, object]>([
    ["hardware_id", { hardwareId: "" }],
    ["hardware_id", { hardwareId: "x".repeat(129) }],
    ["hardware_id", { hardwareId: "a\u0007" }],
    ["prompt", { prompt: "" }],
    ["prompt", { prompt: "x".repeat(65_537) }],
    ["screenshot", { screenshot: "%%%" }],
    ["screenshot", { screenshot: "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd29ybGQ=" }],
    ["screen_width", { screenWidth: -5 }],
    ["screen_height", { screenHeight: 2_000_000_000 }],
    ["session_id", { sessionId: "no spaces" }],
  ])(
    "refuses a bad %s with INVALID_ARGUMENT before any provider is asked",
    async (field, fields) => {
      const { got, error } = await run(client().streamAudio({ ...good, ...fields }));
      expect(got).toEqual([]);
      expect(error?.code).toBe(Code.InvalidArgument);
      expect(error?.rawMessage.startsWith(`${field} `)).toBe(true);
      expect(languageModel.prompts).toEqual([]);
    },
  );

  it("tells the model the conversation so far, and no other device's", async () => {
    await run(client().streamAudio({ ...good, prompt: "first" }));
    await run(client().streamAudio({ ...good, prompt: "mine", hardwareId: "other" }));
    await run(client().streamAudio({ ...good, prompt: "second" }));
    expect(languageModel.prompts.map(({ history }) => history)).toEqual([
      undefined,
      undefined,
      [{ user: "first", assistant: "Fine.", turnId: uuid }],
    ]);
  });

  it("does not tell the model of a greeting as if the user had said it", async () => {
    await run(client().streamAudio({ ...good, prompt: "__GREETING__:Welcome." }));
    await run(client().streamAudio(good));
    expect(languageModel.prompts).toEqual([
      {
        text: "hi",
        deviceId: "device",
        sessionId: uuid,
        turnId: uuid,
        onFacts: expect.any(Function),
      },
    ]);
  });

  it("takes an empty screenshot for none", async () => {
    await run(client().streamAudio({ ...good, screenshot: "", screenWidth: 0 }));
    expect(languageModel.prompts).toEqual([
      {
        text: "hi",
        deviceId: "device",
        sessionId: uuid,
        turnId: uuid,
        onFacts: expect.any(Function),
      },
    ]);
  });

  it("tells a failure before the first content by the status alone", async () => {
    reply = [new ProviderError("scripted", "server", "is down")];
    const { got, error } = await run(client().streamAudio(good));
    expect(got).toEqual([]);
    expect(error?.code).toBe(Code.Unavailable);
    expect(error?.rawMessage).toContain("scripted: is down");
  });

  it("ends a reply that breaks off as it ends any other", async () => {
    reply = ["One. Tw", new ProviderError("scripted", "server", "went away")];
    const { got, error } = await run(client().streamAudio(good));
    expect(got.filter(({ case: kind }) => kind !== "audioChunk")).toEqual([
      { case: "textChunk", value: "One. " },
      { case: "endMessage", value: "done" },
    ]);
    expect(error).toBeUndefined();
  });

  it("tells a failure after the first content by an error message and then the status", async () => {
    reply = ["One. ", "Fail."];
    const { got, error } = await run(client().streamAudio(good));
    expect(got.at(-1)).toEqual({
      case: "errorMessage",
      value: "no speech provider could answer (spelling: went away)",
    });
    expect(error?.code).toBe(Code.Unavailable);
  });

  it("explains nothing of an error that is not the client's to know", async () => {
    reply = [new TypeError("secret path /etc/keys")];
    const first = await run(client().streamAudio(good));
    expect(JSON.stringify(first.error)).not.toContain("secret");
  });

  it("cuts a turn at its deadline, after what was spoken", async () => {
    await restart({ MAX_PROCESSING_TIME: "1.2", TEXT_TIMEOUT: "3.2", SPEECH_TIMEOUT: "3.2" });
    reply = ["One. T", delay(600), "wo. T", delay(1160), "hree. F", never];
    const { got, error } = await run(client().streamAudio(good));
    expect(got[0]).toEqual({ case: "textChunk", value: "One. " });
    expect(got.at(-1)?.case).toBe("errorMessage");
    expect(error?.code).toBe(Code.DeadlineExceeded);
  });

  it("refuses one stream too many of a device with RESOURCE_EXHAUSTED", async () => {
    await restart({ MAX_CONCURRENT_REQUESTS: "1" });
    reply = ["One. T", never];
    const first = client().streamAudio(good)[Symbol.asyncIterator]();
    await first.next();
    expect((await run(client().streamAudio(good))).error?.code).toBe(Code.ResourceExhausted);
    reply = ["Fine."];
    expect(
      (await run(client().streamAudio({ ...good, hardwareId: "other" }))).error,
    ).toBeUndefined();
    await client().interruptSession({ hardwareId: "device" });
    await expect(first.next().then(() => first.next())).rejects.toThrow();
  });

  it("ends with UNAVAILABLE when the gateway stops", async () => {
    reply = ["One. T", never];
    const stream = client().streamAudio(good)[Symbol.asyncIterator]();
    await stream.next();
    await stream.next();
    const ending = run({ [Symbol.asyncIterator]: () => stream });
    await gateway.stop();
    const { got, error } = await ending;
    expect(got).toEqual([{ case: "errorMessage", value: "the gateway is stopping" }]);
    expect(error?.code).toBe(Code.Unavailable);
  });
});

describe("InterruptSession", () => {
  it("says so when nothing was in progress", async () => {
    expect(await client().interruptSession({ hardwareId: "device" })).toMatchObject({
      success: true,
      interruptedSessions: [],
      message: "nothing was in progress",
    });
  });

  it("names the sessions that it interrupted", async () => {
    reply = ["One. T", never];
    const stream = client()
      .streamAudio({ ...good, sessionId: "s-1" })
      [Symbol.asyncIterator]();
    await stream.next();
    const { interruptedSessions } = await client().interruptSession({ hardwareId: "device" });
    expect(interruptedSessions).toEqual(["s-1"]);
    await expect(Array.fromAsync({ [Symbol.asyncIterator]: () => stream })).rejects.toMatchObject({
      code: Code.Canceled,
    });
  });

  it("refuses a missing device", async () => {
    await expect(client().interruptSession({})).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: "hardware_id is required and must not be empty",
    });
  });
});

describe("GenerateWelcomeAudio", () => {
  it("speaks the text: audio, then metadata, then greeting_done", async () => {
    const steps = await Array.fromAsync(client().generateWelcomeAudio({ text: "Hello, you." }));
    const cases = steps.map(({ content }) => content.case);
    expect(cases).toEqual(["audioChunk", "audioChunk", "metadata", "endMessage"]);
    expect(steps.at(-2)?.content.value).toMatchObject({
      method: "spelling",
      durationSec: (11 * SAMPLES_A_LETTER) / 48_000,
      sampleRate: 48_000,
      channels: 1,
      dtype: "int16",
    });
    expect(steps.at(-1)?.content.value).toBe("greeting_done");
    expect(languageModel.prompts).toEqual([]);
  });

  it("refuses a blank text", async () => {
    await expect(
      Array.fromAsync(client().generateWelcomeAudio({ text: " " })),
    ).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: "text is required and must not be blank",
    });
  });
});
