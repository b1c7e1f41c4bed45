import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConversationService } from "../gen/parley/v1/conversation_pb.ts";
import { StreamingService, type StreamResponse } from "../gen/streaming/streaming_pb.ts";
import { createRandom } from "./fuzz/random.ts";
import { createFolder, readAll, startStoring } from "./storage/databases.ts";
import type { Gateway } from "./support/gateway.ts";
import {
  createScriptedLanguageModel,
  type ScriptedLanguageModel,
} from "./support/scripted-language-model.ts";
import { SAMPLES_A_LETTER } from "./support/spelling-voice.ts";
import { createTimedVoice } from "./support/timed-voice.ts";

const SAMPLES_A_MS = 48;
const never = new Promise<never>(() => undefined);

const folder = createFolder();
let model: ScriptedLanguageModel;
let gateway: Gateway;
beforeAll(async () => {
  // It says what it is asked to; "…" makes it hang there.
  model = createScriptedLanguageModel(({ text }) =>
    text.endsWith("…") ? [text.slice(0, -1), never] : [text],
  );
  gateway = await startStoring({
    languageModels: [model],
    synthesizers: [createTimedVoice()],
    env: { DATA_DIR: folder.path, MAX_SESSIONS_PER_CONNECTION: "1000" },
  });
});
afterAll(async () => {
  await gateway.stop();
  folder[Symbol.dispose]();
});

const transports: Readonly<Record<string, (gateway: Gateway) => Transport>> = {
  "gRPC on the port for native clients": ({ url }) => createGrpcTransport({ baseUrl: url }),
  "gRPC on the port for pages": ({ httpUrl }) => createGrpcTransport({ baseUrl: httpUrl }),
  "gRPC-Web": ({ httpUrl }) => createGrpcWebTransport({ baseUrl: httpUrl, httpVersion: "1.1" }),
  "Connect in JSON": ({ httpUrl }) =>
    createConnectTransport({ baseUrl: httpUrl, httpVersion: "1.1", useBinaryFormat: false }),
};
const clients = (transport = createGrpcTransport({ baseUrl: gateway.url })) => ({
  streaming: createClient(StreamingService, transport),
  conversation: createClient(ConversationService, transport),
});

const samplesOf = ({ content }: StreamResponse) =>
  content.case === "audioChunk" ? (content.value.shape[0] ?? 0) : 0;
const soundMs = (text: string) => (text.length * SAMPLES_A_LETTER) / SAMPLES_A_MS;
const ids = () => ({ hardwareId: randomUUID(), turnId: randomUUID() });
/** The prompt of the device's next turn. */
async function nextPrompt(hardwareId: string) {
  await Array.fromAsync(clients().streaming.streamAudio({ prompt: "Next.", hardwareId }));
  return model.prompts.findLast(({ deviceId }) => deviceId === hardwareId);
}
/** What the database has of the device's first turn. */
async function stored(hardwareId: string) {
  return (await readAll(folder.file(), hardwareId))["turns"]?.[0] ?? {};
}

describe("ReportPlayback", () => {
  it.each(Object.entries(transports))("tells over %s what was heard", async (_, open) => {
    const { streaming, conversation } = clients(open(gateway));
    const { hardwareId, turnId } = ids();
    const steps = streaming.streamAudio({ prompt: "One two. Three four.", hardwareId, turnId });
    const [{ sessionId = "" } = {}] = await Array.fromAsync(steps);
    const heard = BigInt("One two. Thr".length * SAMPLES_A_LETTER);
    await conversation.reportPlayback({ hardwareId, sessionId, turnId, samplesPlayed: heard });
    expect(await stored(hardwareId)).toMatchObject({
      reply: "One two. Three four.",
      heard: "One two. ",
      heardSamples: Number(heard),
      status: "done",
    });
    const { history } = (await nextPrompt(hardwareId)) ?? {};
    expect(history).toEqual([
      expect.objectContaining({ assistant: "One two. [interrupted]", interrupted: true, turnId }),
    ]);
  });

  it("takes the last report, and more than was sent for all of it", async () => {
    const { streaming, conversation } = clients();
    const { hardwareId, turnId } = ids();
    await Array.fromAsync(streaming.streamAudio({ prompt: "One two.", hardwareId, turnId }));
    const report = (samplesPlayed: bigint) =>
      conversation.reportPlayback({ hardwareId, turnId, samplesPlayed });
    await report(0n);
    expect(await stored(hardwareId)).toMatchObject({ heard: "", heardSamples: 0 });
    await report(2n ** 64n - 1n);
    expect(await stored(hardwareId)).toMatchObject({ heard: null, heardSamples: null });
    const { history } = (await nextPrompt(hardwareId)) ?? {};
    expect(history).toMatchObject([{ assistant: "One two." }]);
  });

  it("answers another device's turn, another session's and an unknown one alike", async () => {
    const { streaming, conversation } = clients();
    const { hardwareId, turnId } = ids();
    await Array.fromAsync(streaming.streamAudio({ prompt: "One two.", hardwareId, turnId }));
    const refused = await Promise.all(
      [
        { hardwareId: "another", turnId },
        { hardwareId, turnId, sessionId: "another" },
        { hardwareId, turnId: randomUUID() },
      ].map((report) => conversation.reportPlayback(report).catch(ConnectError.from)),
    );
    for (const error of refused) {
      expect(error).toMatchObject({
        code: Code.NotFound,
        rawMessage: "this device has no such turn",
      });
    }
    expect(await stored(hardwareId)).toMatchObject({ heard: null });
  });

  it.each([
    ["hardware_id", { hardwareId: "__proto__" }],
    ["hardware_id", { hardwareId: "a\u0007" }],
    ["session_id", { sessionId: "__proto__" }],
    ["turn_id", { turnId: "t" }],
    ["turn_id", { turnId: "" }],
  ])("refuses a bad %s", async (field, wrong) => {
    const report = { ...ids(), samplesPlayed: 1n, ...wrong };
    const error = await clients().conversation.reportPlayback(report).catch(ConnectError.from);
    expect(error).toMatchObject({ code: Code.InvalidArgument });
    expect((error as ConnectError).rawMessage).toContain(field);
  });
});

describe("InterruptSession of a turn that was sent in full", () => {
  const text = "Aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd eeeeeeeeee ffffffffff gggggggggg.";

  it("names it in sent_turns alone, and keeps what was heard by the clock", async () => {
    const { streaming } = clients();
    const { hardwareId, turnId } = ids();
    const steps = streaming.streamAudio({ prompt: text, hardwareId, turnId });
    let startMs = 0;
    for await (const step of steps) if (samplesOf(step) > 0) startMs ||= performance.now();
    await sleep(300);
    const answer = await streaming.interruptSession({ hardwareId });
    const heardMs = performance.now() - startMs;
    expect(answer).toMatchObject({
      success: true,
      interruptedSessions: [],
      sentTurns: [turnId],
      message: "nothing was in progress",
    });
    await expect.poll(() => stored(hardwareId)).toMatchObject({ status: "interrupted" });
    const heard = String((await stored(hardwareId))["heard"]);
    expect(text.startsWith(heard)).toBe(true);
    // A word takes 110 ms.
    expect(Math.abs(soundMs(heard) - heardMs)).toBeLessThan(200);
    const { history } = (await nextPrompt(hardwareId)) ?? {};
    expect(history).toMatchObject([{ assistant: `${heard} [interrupted]`, interrupted: true }]);
    // It plays no more.
    expect((await streaming.interruptSession({ hardwareId })).sentTurns).not.toContain(turnId);
  });

  it("finds none that has been heard, of another device, or that is later than the one it names", async () => {
    const { streaming, conversation } = clients();
    const { hardwareId, turnId } = ids();
    await Array.fromAsync(streaming.streamAudio({ prompt: text, hardwareId, turnId }));
    expect((await streaming.interruptSession({ hardwareId: "another" })).sentTurns).toEqual([]);
    const earlier = await streaming.interruptSession({ hardwareId, turnId: randomUUID() });
    expect(earlier.sentTurns).toEqual([]);
    await conversation.reportPlayback({ hardwareId, turnId, samplesPlayed: 2n ** 40n });
    expect((await streaming.interruptSession({ hardwareId })).sentTurns).toEqual([]);
    expect(await stored(hardwareId)).toMatchObject({ heard: null, status: "done" });
  });
});

describe("lead_ms", () => {
  const text = `${"Lorem ipsum dolor sit amet. ".repeat(4)}…`;
  const whole = text.slice(0, -1);

  it.each(Object.entries(transports))(
    "holds sound back over %s, so that an interrupt finds the turn in progress",
    async (_, open) => {
      const { streaming } = clients(open(gateway));
      const { hardwareId, turnId } = ids();
      const steps = streaming.streamAudio({ prompt: text, hardwareId, turnId, leadMs: 200 });
      let startMs = 0;
      let samples = 0;
      const reading = (async () => {
        for await (const step of steps) {
          if (samplesOf(step) === 0) continue;
          startMs ||= performance.now();
          samples += samplesOf(step);
          const aheadMs = samples / SAMPLES_A_MS - (performance.now() - startMs);
          // The first one may have been under way for longer than the others.
          expect(aheadMs).toBeLessThan(200 + 200);
          if (samples > 500 * SAMPLES_A_MS) await streaming.interruptSession({ hardwareId });
        }
      })();
      await expect(reading).rejects.toMatchObject({ code: Code.Canceled });
      await expect.poll(() => stored(hardwareId)).toMatchObject({ status: "interrupted" });
      const row = await stored(hardwareId);
      expect(soundMs(String(row["reply"]))).toBeLessThan(1500);
      expect(Number(row["heardSamples"])).toBeLessThanOrEqual(samples);
      expect(Number(row["heardSamples"])).toBeGreaterThan(samples - 400 * SAMPLES_A_MS);
    },
  );

  it("sends all of the reply, in the time that it plays, whatever the turn's own time is", async () => {
    await using short = await startStoring({
      languageModels: [createScriptedLanguageModel([whole])],
      synthesizers: [createTimedVoice()],
      env: {
        STORAGE_ENABLED: "false",
        MAX_PROCESSING_TIME: "0.5",
        TEXT_TIMEOUT: "1",
        SPEECH_TIMEOUT: "1",
      },
    });
    const { streaming } = clients(createGrpcTransport({ baseUrl: short.url }));
    const startMs = performance.now();
    const steps = await Array.fromAsync(
      streaming.streamAudio({ prompt: "p", ...ids(), leadMs: 100 }),
    );
    const tookMs = performance.now() - startMs;
    expect(steps.at(-1)?.content.value).toBe("done");
    expect(steps.reduce((sum, step) => sum + samplesOf(step), 0)).toBe(
      whole.length * SAMPLES_A_LETTER,
    );
    expect(tookMs).toBeGreaterThan(soundMs(whole) - 300);
  });

  it.each(["GET", "POST"])("is taken by %s /v1/speak", async (method) => {
    const fields = { prompt: whole, hardware_id: randomUUID(), format: "pcm", lead_ms: 100 };
    const query = new URLSearchParams({ ...fields, lead_ms: "100" });
    const url = `${gateway.httpUrl}/v1/speak`;
    const startMs = performance.now();
    const response = await (method === "GET"
      ? fetch(`${url}?${query}`)
      : fetch(url, {
          method,
          headers: { "content-type": "application/json" },
          body: JSON.stringify(fields),
        }));
    expect((await response.arrayBuffer()).byteLength).toBe(2 * whole.length * SAMPLES_A_LETTER);
    expect(performance.now() - startMs).toBeGreaterThan(soundMs(whole) - 300);
  });

  it("must be a whole number from 0 up for /v1/speak", async () => {
    const body = JSON.stringify({ prompt: "p", hardware_id: "d", lead_ms: -1 });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${gateway.httpUrl}/v1/speak`, { method: "POST", headers, body });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("lead_ms");
  });
});

/** Turns that are cut at random, by the mode of the run. */
const cutsOf: Readonly<Record<string, number>> = { full: 100, soak: 1000 };
const { MODE = "", FUZZ_SEED } = process.env;
const CUTS = cutsOf[MODE] ?? 25;
const seed = Number(FUZZ_SEED ?? (MODE === "soak" ? Date.now() % 1_000_000 : 1));

/** How a turn is cut. `sent`: after it was sent. */
const kinds = ["interrupt", "cancel", "sent and interrupt", "sent"] as const;

/** Cuts a turn and reports what was played of it. Returns that. */
async function cut(kind: (typeof kinds)[number], prompt: string, random: () => number) {
  const { streaming, conversation } = clients(shared);
  const { hardwareId, turnId } = ids();
  const left = new AbortController();
  const isSent = kind.startsWith("sent");
  const request = { prompt, hardwareId, turnId, ...(!isSent && { leadMs: 250 }) };
  const stopAt = random() * 0.6 * prompt.length * SAMPLES_A_LETTER;
  let received = 0;
  try {
    for await (const step of streaming.streamAudio(request, { signal: left.signal })) {
      received += samplesOf(step);
      if (isSent || received < stopAt) continue;
      if (kind === "cancel") left.abort();
      else await streaming.interruptSession({ hardwareId });
    }
  } catch (error) {
    expect(ConnectError.from(error).code).toBe(Code.Canceled);
  }
  if (kind === "sent and interrupt") await streaming.interruptSession({ hardwareId });
  const samples = Math.floor(random() * received);
  await conversation.reportPlayback({ hardwareId, turnId, samplesPlayed: BigInt(samples) });
  return { kind, hardwareId, turnId, prompt, samples };
}
let shared: Transport;

describe(`${CUTS} turns that are cut at random, with the seed ${seed} (FUZZ_SEED)`, () => {
  it("are stored and recalled as they were heard, to the word", {
    timeout: 1_200_000,
  }, async () => {
    shared = createGrpcTransport({ baseUrl: gateway.url });
    const { below } = createRandom(seed);
    const random = () => below(2 ** 20) / 2 ** 20;
    const words = () =>
      Array.from({ length: 3 + Math.floor(random() * 8) }, () =>
        "x".repeat(1 + Math.floor(random() * 9)),
      );
    const plans = Array.from({ length: CUTS }, (_, index) => ({
      kind: kinds[index % kinds.length] ?? "sent",
      prompt: Array.from({ length: 2 + Math.floor(random() * 4) }, () => words().join(" ")).join(
        ". ",
      ),
    }));
    const cuts: Awaited<ReturnType<typeof cut>>[] = [];
    const work = async () => {
      for (let plan = plans.pop(); plan; plan = plans.pop()) {
        cuts.push(await cut(plan.kind, `${plan.prompt}.`, random));
      }
    };
    await Promise.all(Array.from({ length: 10 }, work));
    for (const { kind, hardwareId, turnId, prompt, samples } of cuts) {
      const row = (await readAll(folder.file(), hardwareId))["turns"]?.[0];
      const heard = wordsIn(String(row?.["heard"] ?? row?.["reply"]));
      const played = wordsIn(prompt.slice(0, Math.floor(samples / SAMPLES_A_LETTER)));
      const what = JSON.stringify({ kind, prompt, samples, row });
      expect(row?.["id"], what).toBe(turnId);
      expect(Math.abs(heard.length - played.length), what).toBeLessThanOrEqual(1);
      expect(wordsIn(prompt).slice(0, heard.length), what).toEqual(heard);
      if (kind !== "sent")
        expect(row?.["status"], what).toMatch(/^(interrupted|disconnected|done)$/);
      const { history = [] } = (await nextPrompt(hardwareId)) ?? {};
      expect(wordsIn(history[0]?.assistant.replace(/ ?\[interrupted\]$/, "") ?? ""), what).toEqual(
        heard,
      );
    }
  });
});

const wordsIn = (text: string) => text.match(/\w+/g) ?? [];
