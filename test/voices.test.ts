import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { Synthesizer } from "../server/models/synthesizer.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createSpellingVoice } from "./support/spelling-voice.ts";

const asked: (string | undefined)[] = [];
let gateway: Gateway;

function voiceWith(name: string, traits: Partial<Synthesizer>): Synthesizer {
  const voice = createSpellingVoice();
  return {
    ...voice,
    name,
    ...traits,
    synthesize(text, how, signal) {
      asked.push(how.name);
      return voice.synthesize(text, how, signal);
    },
  };
}

beforeEach(async () => {
  asked.length = 0;
  gateway = await startGateway({
    synthesizers: [
      voiceWith("first", { voices: ["Anna", "Bert"], languages: ["de"] }),
      voiceWith("second", { voices: [], takesVoice: (name) => name.startsWith("custom-") }),
    ],
  });
});
afterEach(() => gateway.stop());

function open() {
  const transport = createConnectTransport({ baseUrl: gateway.httpUrl, httpVersion: "1.1" });
  return createClient(StreamingService, transport);
}

async function turn(voice: string): Promise<void> {
  const request = { prompt: "Hello", hardwareId: "device", language: "de", voice };
  for await (const _ of open().streamAudio(request));
}

const speak = (voice: string) =>
  fetch(`${gateway.httpUrl}/v1/speak`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "Hello", hardware_id: "device", language: "de", voice }),
  });

describe("/status", () => {
  it("lists the voices and the languages of each speech tier", async () => {
    const status = (await (await fetch(`${gateway.httpUrl}/status`)).json()) as {
      providers: readonly { kind: string }[];
    };
    expect(status.providers.filter(({ kind }) => kind === "speech")).toMatchObject([
      { name: "first", voices: ["Anna", "Bert"], languages: ["de"] },
      { name: "second", voices: [] },
    ]);
  });
});

describe("the voice of a request", () => {
  it.each(["Bert", "custom-1"])("reaches the tiers where one has it: %s", async (voice) => {
    await turn(voice);
    expect(new Set(asked)).toEqual(new Set([voice]));
    asked.length = 0;
    const response = await speak(voice);
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    expect(asked[0]).toBe(voice);
  });

  it("is refused where no tier can have it, before anything is asked", async () => {
    await expect(turn("Nobody")).rejects.toMatchObject({
      code: Code.InvalidArgument,
      rawMessage: "voice must be a voice that /status lists",
    });
    const response = await speak("Nobody");
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "invalid_argument", field: "voice" },
    });
    expect(asked).toEqual([]);
  });

  it("is never refused in a greeting of an older client", async () => {
    const end: string[] = [];
    for await (const { content } of open().generateWelcomeAudio({ text: "Hi.", voice: "Nobody" })) {
      if (content.case === "endMessage") end.push(content.value);
    }
    expect(end).toEqual(["greeting_done"]);
  });
});
