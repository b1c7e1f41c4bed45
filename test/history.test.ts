import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamingService, type StreamResponse } from "../gen/streaming/streaming_pb.ts";
import { samplesOf } from "../server/core/audio/pcm.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import {
  createScriptedLanguageModel,
  type ReplyStep,
  type ScriptedLanguageModel,
} from "./support/scripted-language-model.ts";
import { createSpellingVoice, readSpelling } from "./support/spelling-voice.ts";

// What went wrong in the servers that Parley replaces, one test each.

const never = new Promise<never>(() => undefined);
let replies: Record<string, readonly ReplyStep[]> = {};
let languageModel: ScriptedLanguageModel;
let voice: ReturnType<typeof createSpellingVoice>;
let gateway: Gateway;
let sessions: Http2SessionManager;

beforeEach(async () => {
  replies = {};
  languageModel = createScriptedLanguageModel((prompt) => replies[prompt.text] ?? [prompt.text]);
  voice = createSpellingVoice();
  gateway = await startGateway({ languageModels: [languageModel], synthesizers: [voice] });
  sessions = new Http2SessionManager(gateway.url);
});
afterEach(async () => {
  sessions.abort();
  await gateway.stop();
});

const client = () =>
  createClient(
    StreamingService,
    createGrpcTransport({ baseUrl: gateway.url, sessionManager: sessions }),
  );
const speak = (prompt: string, hardwareId = "device-a") =>
  client().streamAudio({ prompt, hardwareId })[Symbol.asyncIterator]();
const rest = (stream: AsyncIterator<StreamResponse>) =>
  Array.fromAsync({ [Symbol.asyncIterator]: () => stream });

function heard(steps: readonly StreamResponse[]) {
  const text = steps.map(({ content }) => (content.case === "textChunk" ? content.value : ""));
  const pcm = steps.flatMap(({ content }) =>
    content.case === "audioChunk" ? [samplesOf(content.value.audioData)] : [],
  );
  return { text: text.join(""), spoken: readSpelling(pcm), end: steps.at(-1)?.content.value };
}

const whole = async (prompt: string, hardwareId?: string) =>
  heard(await rest(speak(prompt, hardwareId)));

/** A turn that has said "One. " and then hangs in its language model. */
async function hanging(hardwareId: string) {
  replies["hang"] = ["One. T", never];
  const stream = speak("hang", hardwareId);
  await stream.next();
  await stream.next();
  return stream;
}

describe("StreamAudio, where older servers went wrong", () => {
  it("does not run a request again after an interrupt", async () => {
    const stream = await hanging("device-a");
    await client().interruptSession({ hardwareId: "device-a" });
    await expect(rest(stream)).rejects.toThrow("interrupted");
    await whole("Next.");
    expect(languageModel.prompts.map((prompt) => prompt.text)).toEqual(["hang", "Next."]);
  });

  it("gives each of many devices its own words alone", async () => {
    const devices = Array.from({ length: 20 }, (_, index) => `device-${index}`);
    const all = await Promise.all(devices.map((id) => whole(`I am ${id}. And again, ${id}!`, id)));
    for (const [index, { text, spoken }] of all.entries()) {
      expect(text).toBe(`I am device-${index}. And again, device-${index}!`);
      expect(spoken).toBe(text);
    }
  });

  it.each<[string, readonly string[]]>([
    ["a one-word answer", ["Yes"]],
    ["a tail without a full stop", ["All is well. more or less"]],
    ["repeated deltas", ["ha ", "ha ", "ha ", "ha.", " ha."]],
    ["whole sentences as deltas", ["I am here. ", "You are there. ", "We are here."]],
    ["deltas without their own spaces", ["un", "believ", "able", ". ", "In", "deed", "."]],
    ["deltas that are spaces", ["a", " ", "b", "  ", "c", ".", " ", "d"]],
  ])("says every letter of %s", async (_, deltas) => {
    replies["p"] = deltas;
    expect(await whole("p")).toEqual({
      text: deltas.join(""),
      spoken: deltas.join(""),
      end: "done",
    });
  });

  it("interrupts device A and then device B, each its own", async () => {
    const [a, b] = [await hanging("device-a"), await hanging("device-b")];
    const first = await client().interruptSession({ hardwareId: "device-a" });
    expect(first.interruptedSessions).toHaveLength(1);
    await expect(rest(a)).rejects.toThrow("interrupted");
    expect(gateway.status().activeSessions).toBe(1);
    const second = await client().interruptSession({ hardwareId: "device-b" });
    expect(second.interruptedSessions).toHaveLength(1);
    await expect(rest(b)).rejects.toThrow("interrupted");
    expect(gateway.status().activeSessions).toBe(0);
  });

  it("takes the same device's next request right after an interrupt and after a cancel", async () => {
    const stream = await hanging("device-a");
    await client().interruptSession({ hardwareId: "device-a" });
    expect((await whole("Again.")).spoken).toBe("Again.");
    await expect(rest(stream)).rejects.toThrow("interrupted");

    const aborter = new AbortController();
    const cancelled = client().streamAudio(
      { prompt: "hang", hardwareId: "device-a" },
      { signal: aborter.signal },
    );
    await cancelled[Symbol.asyncIterator]().next();
    aborter.abort();
    expect((await whole("And again.")).spoken).toBe("And again.");
  });

  it("speaks a sentence while the language model still writes the next", async () => {
    const written = Promise.withResolvers<void>();
    replies["p"] = ["One. T", written.promise, "wo."];
    const stream = speak("p");
    expect((await stream.next()).value?.content.value).toBe("One. ");
    expect((await stream.next()).value?.content.case).toBe("audioChunk");
    written.resolve();
    expect(heard(await rest(stream))).toMatchObject({ text: "Two.", spoken: "Two." });
  });

  it("ends an interrupted stream without an end message or a later chunk", async () => {
    const stream = await hanging("device-a");
    await client().interruptSession({ hardwareId: "device-a" });
    const after: StreamResponse[] = [];
    const reading = (async () => {
      for (let step = await stream.next(); !step.done; step = await stream.next())
        after.push(step.value);
    })();
    await expect(reading).rejects.toMatchObject({
      code: 1,
      rawMessage: "the turn was interrupted",
    });
    expect(after).toEqual([]);
  });
});
