import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { bytesOf, joinPcm, samplesOf } from "../../server/core/audio/pcm.ts";
import { createResampler } from "../../server/core/audio/resample.ts";
import { createWavReader } from "../../server/core/audio/wav.ts";
import { ProviderError } from "../../server/core/errors.ts";
import { createToneVoice } from "../../server/providers/tone.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createSpellingVoice } from "../support/spelling-voice.ts";
import { readSpelled24 } from "./spelled.ts";

const never = new Promise<never>(() => undefined);
const TEXT = "Hello there. How are you?";
let gateway: Gateway;

beforeEach(async () => {
  const gate = (text: string) => {
    if (text === "Wait.") return never;
    return text === "Fail."
      ? Promise.reject(new ProviderError("spelling", "server", "went away"))
      : undefined;
  };
  gateway = await startGateway({ synthesizers: [createSpellingVoice({ gate })] });
});
afterEach(() => gateway.stop());

const speech = { model: "tts-1", voice: "alloy", input: TEXT, response_format: "pcm" };
const speak = (fields: object, init: RequestInit = {}) =>
  fetch(`${gateway.httpUrl}/v1/audio/speech`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...speech, ...fields }),
    ...init,
  });
const bytes = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const errorOf = async (response: Response) => {
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  return { status: response.status, ...error };
};

describe("POST /v1/audio/speech", () => {
  it("speaks the input as it stands, as samples of 24 kHz", async () => {
    const response = await speak({ instructions: "Be glad.", speed: 1 });
    expect(response.headers.get("content-type")).toBe("audio/pcm");
    expect(readSpelled24(await bytes(response))).toBe(TEXT);
    expect(gateway.status().turns).toEqual({ done: 1 });
  });

  it("answers StreamAudio's own sound, resampled", async () => {
    await using tones = await startGateway({ synthesizers: [createToneVoice()] });
    const client = createClient(
      StreamingService,
      createConnectTransport({ baseUrl: tones.url, httpVersion: "2" }),
    );
    const pieces: Int16Array[] = [];
    const request = { prompt: `__GREETING__:${TEXT}`, hardwareId: "d" };
    for await (const { content } of client.streamAudio(request)) {
      if (content.case === "audioChunk") {
        pieces.push(samplesOf(Uint8Array.from(content.value.audioData)));
      }
    }
    const resampler = createResampler(48_000, 24_000);
    const expected = joinPcm([resampler.push(joinPcm(pieces)), resampler.flush()]);
    const response = await fetch(`${tones.httpUrl}/v1/audio/speech`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(speech),
    });
    const sound = Buffer.from(await response.arrayBuffer());
    expect(sound.length).toBeGreaterThan(10_000);
    expect(sound.equals(bytesOf(expected))).toBe(true);
  });

  it("answers a WAV file of 24 kHz", async () => {
    const response = await speak({ response_format: "wav" });
    expect(response.headers.get("content-type")).toBe("audio/wav");
    const wav = createWavReader();
    const pcm = wav.push(await bytes(response));
    expect(wav.sampleRateHz).toBe(24_000);
    expect(readSpelled24(bytesOf(pcm))).toBe(TEXT);
  });

  it.each([0.5, 2])("speaks at speed %s", async (speed) => {
    const plain = await bytes(await speak({}));
    const changed = await bytes(await speak({ speed }));
    expect(changed.length).toBe(plain.length / speed);
  });

  it("answers events with the sound and the usage", async () => {
    const response = await speak({ stream_format: "sse" });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const events = eventsOf(await response.text());
    const done = events.pop();
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["speech.audio.delta"]));
    const sound = events.map(({ audio }) => Buffer.from(`${audio}`, "base64"));
    expect(readSpelled24(Buffer.concat(sound))).toBe(TEXT);
    // 25 letters of 10 ms are 250 ms.
    const usage = { input_tokens: 7, output_tokens: 5, total_tokens: 12 };
    expect(done).toEqual({ type: "speech.audio.done", usage });
  });

  it("ends events with an error, and cuts a file off, when the turn fails midway", async () => {
    const failing = { input: "One. Fail." };
    await expect(speak(failing).then(bytes)).rejects.toThrow();
    const events = eventsOf(await (await speak({ ...failing, stream_format: "sse" })).text());
    expect(events.at(-1)).toMatchObject({
      type: "error",
      error: { type: "server_error", code: "service_unavailable" },
    });
  });

  it("cancels the turn when the client leaves", async () => {
    const aborter = new AbortController();
    const response = await speak({ input: "One. Wait." }, { signal: aborter.signal });
    await response.body?.getReader().read();
    expect(gateway.status().activeSessions).toBe(1);
    aborter.abort();
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ disconnected: 1 });
  });

  it.each<[string, object, object]>([
    ["a blank input", { input: " " }, { param: "input", code: "invalid_value" }],
    [
      "an input that is too long",
      { input: "x".repeat(4097) },
      { param: "input", code: "string_above_max_length" },
    ],
    ["a missing model", { model: undefined }, { param: "model" }],
    ["a speed that nobody speaks at", { speed: 5 }, { param: "speed" }],
    ["a wrong stream_format", { stream_format: "mp4" }, { param: "stream_format" }],
    [
      "a format that it does not encode",
      { response_format: "aac" },
      {
        param: "response_format",
        message: expect.stringMatching(/must be one of (mp3, )?(opus, )?flac, wav, pcm on this/),
      },
    ],
  ])("refuses %s with 400 in OpenAI's shape", async (_, fields, expected) => {
    expect(await errorOf(await speak(fields))).toMatchObject({
      status: 400,
      type: "invalid_request_error",
      ...expected,
    });
  });

  it("takes as many characters as MAX_SPEECH_INPUT says", async () => {
    const env = { MAX_SPEECH_INPUT: "5" };
    await using small = await startGateway({ env });
    const post = (input: string) =>
      fetch(`${small.httpUrl}/v1/audio/speech`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...speech, input }),
      });
    expect((await post("Hallo")).status).toBe(200);
    expect((await post("Hello!")).status).toBe(400);
  });

  it("answers what is no JSON, or too large, with an error", async () => {
    expect(await errorOf(await speak({}, { body: "{" }))).toMatchObject({ status: 400 });
    const plain = { headers: { "content-type": "text/plain" } };
    expect(await errorOf(await speak({}, plain))).toMatchObject({ status: 415 });
    const large = await speak({ input: "x".repeat(100_000) });
    expect(await errorOf(large)).toMatchObject({ status: 413, code: "request_too_large" });
  });

  it("answers 429 with a time to wait when too many turns run", async () => {
    await using busy = await startGateway({
      env: { MAX_SESSIONS: "1" },
      synthesizers: [createSpellingVoice({ gate: () => never })],
    });
    const post = (signal?: AbortSignal) =>
      fetch(`${busy.httpUrl}/v1/audio/speech`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(speech),
        ...(signal && { signal }),
      });
    const aborter = new AbortController();
    const first = post(aborter.signal).catch(() => undefined);
    await expect.poll(() => busy.status().activeSessions).toBe(1);
    const refused = await post();
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(await errorOf(refused)).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    aborter.abort();
    await first;
  });
});

describe("GET /v1/models and /v1/audio/voices", () => {
  const get = async (path: string) => {
    const response = await fetch(`${gateway.httpUrl}${path}`);
    return { status: response.status, body: await response.json() };
  };

  it("list the one model and OpenAI's voices", async () => {
    const { body } = await get("/v1/models");
    expect(body).toMatchObject({ object: "list", data: [{ id: "parley", object: "model" }] });
    expect(await get("/v1/models/parley")).toMatchObject({ status: 200, body: { id: "parley" } });
    const { body: unknown } = await get("/v1/models/gpt-9");
    expect(unknown).toMatchObject({ error: { code: "model_not_found" } });
    const { body: voices } = await get("/v1/audio/voices");
    expect(voices).toMatchObject({
      voices: expect.arrayContaining([
        { id: "alloy", name: "alloy", object: "voice", speaks_as: null },
      ]),
    });
  });

  it("are closed by DOORS=none, with every other route of the door", async () => {
    await using closed = await startGateway({ env: { DOORS: "none" } });
    expect((await fetch(`${closed.httpUrl}/v1/models`)).status).toBe(404);
    const { endpoints } = (await (await fetch(`${closed.httpUrl}/status`)).json()) as {
      endpoints: string[];
    };
    expect(endpoints.join()).not.toContain("audio/speech");
    const open = (await (await fetch(`${gateway.httpUrl}/status`)).json()) as typeof closed & {
      endpoints: string[];
    };
    expect(open.endpoints).toEqual(
      expect.arrayContaining(["POST /v1/audio/speech", "WebSocket /v1/realtime"]),
    );
  });
});

function eventsOf(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split("\n\n")
    .map((event) => JSON.parse(event.replace(/^data: /, "")));
}
