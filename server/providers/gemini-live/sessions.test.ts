import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type GeminiLiveEmulator,
  startGeminiLiveEmulator,
} from "../../../emulators/gemini-live.ts";
import type {
  LanguageModel,
  MessagePair,
  Prompt,
  PromptContext,
} from "../../models/language-model.ts";
import { createGeminiLiveModel, type GeminiLiveOptions } from "./gemini-live.ts";

let emulator: GeminiLiveEmulator;
let languageModel: LanguageModel;
let nowMs = 0;

beforeEach(async () => {
  nowMs = 0;
  emulator = await startGeminiLiveEmulator();
  emulator.play({ deltas: ["Well", "."] });
  languageModel = createModel({ warmConnections: 0 });
});
afterEach(async () => {
  await languageModel.stop?.();
  await expect.poll(() => emulator.connections()).toBe(0);
  await emulator.stop();
});

describe("the sessions of gemini-live", () => {
  it("run the turns of a conversation on one connection and one server session", async () => {
    await ask({ text: "One", deviceId: "a" });
    await ask({ text: "Two", deviceId: "a" });
    expect(asked()).toMatchObject({ connection: 0, heard: ["One"] });
    expect(asked()?.contents).toHaveLength(1);
  });

  it("are never shared between devices, nor between a device's conversations", async () => {
    const owners = [{ deviceId: "a" }, { deviceId: "b" }, { deviceId: "a", sessionId: "s" }, {}];
    const turns = Array.from({ length: 40 }, (_, at) => ({ ...owners[at % 4], at: at % 4 }));
    await Promise.all(turns.map(({ at, ...owner }) => ask({ ...owner, text: `${at}` })));
    for (const { heard, contents } of emulator.requests) {
      const text = contents.at(-1)?.parts?.at(-1)?.text ?? "";
      expect(heard.every((other) => other === text)).toBe(true);
      if (text === "3") expect(heard).toEqual([]);
    }
    expect(emulator.requests).toHaveLength(40);
  });

  it("run one turn at a time, in order", async () => {
    emulator.play({ deltas: ["Well", "."], partMs: 5 });
    await Promise.all(["One", "Two", "Three"].map((text) => ask({ text, deviceId: "a" })));
    expect(asked()?.heard).toEqual(["One", "Two"]);
  });

  it("resume with the token after a cancel, and learn of the interrupted turn", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    await cancelled({ text: "Two", deviceId: "a" });
    emulator.play({ deltas: ["Well."] });
    const history = [
      { user: "One", assistant: "Well." },
      { user: "Two", assistant: "We" },
    ];
    await ask({ text: "Three", deviceId: "a", history });
    expect(asked()?.setup.sessionResumption).toEqual({ handle: "handle-0-1" });
    expect(asked()?.heard).toEqual(["One"]);
    expect(textsOf(asked())).toEqual(["Two", "We", "Three"]);
  });

  it("know of a turn whose end came 3 s late, and of the one that was interrupted after it", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    // Its sound is there, and the service still waits as if it were being played.
    emulator.behave({ lagMs: 3_000 });
    await ask({ text: "Two", deviceId: "a" });
    await cancelled({ text: "Three", deviceId: "a", history: talk("One", "Two") });
    emulator.behave({});
    emulator.play({ deltas: ["Well."] });
    const history = [...talk("One", "Two"), { user: "Three", assistant: "We" }];
    await ask({ text: "Four", deviceId: "a", history });
    expect(asked()?.setup.sessionResumption).toEqual({ handle: "handle-0-1" });
    expect(asked()?.heard).toEqual(["One"]);
    expect(textsOf(asked())).toEqual(["Two", "Well.", "Three", "We", "Four"]);
  });

  it("know of a turn after which the server could not resume them", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    emulator.behave({ resumable: false });
    await ask({ text: "Two", deviceId: "a" });
    await emulator.settle();
    emulator.dropConnections();
    await expect.poll(() => emulator.connections()).toBe(0);
    await ask({ text: "Three", deviceId: "a", history: talk("One", "Two") });
    expect(asked()).toMatchObject({ connection: 1, heard: ["One"] });
    expect(textsOf(asked())).toEqual(["Two", "Well.", "Three"]);
  });

  it("take the same words twice for two turns", async () => {
    await ask({ text: "yes", deviceId: "a", turnId: "1" });
    await untilTokens(1);
    await cancelled({ text: "yes", deviceId: "a", turnId: "2" });
    emulator.play({ deltas: ["Well."] });
    const history = [
      { user: "yes", assistant: "Well.", turnId: "1" },
      { user: "yes", assistant: "We", turnId: "2" },
    ];
    await ask({ text: "yes", deviceId: "a", turnId: "3", history });
    expect(asked()?.heard).toEqual(["yes"]);
    expect(textsOf(asked())).toEqual(["yes", "We", "yes"]);
  });

  it("get what is remembered with its first turn, and again when it has changed", async () => {
    const textsSent = () =>
      asked()
        ?.contents.at(-1)
        ?.parts?.map(({ text }) => text);
    await ask({ text: "One", deviceId: "a", memory: "It is known." });
    expect(textsSent()).toEqual(["It is known.", "One"]);
    await ask({ text: "Two", deviceId: "a", memory: "It is known." });
    expect(textsSent()).toEqual(["Two"]);
    await ask({ text: "Three", deviceId: "a", memory: "More is known." });
    expect(textsSent()).toEqual(["More is known.", "Three"]);
  });

  it("run the next turn at once though the cancelled one is not pulled", async () => {
    emulator.play({ deltas: ["Well"], fault: { kind: "hang", afterParts: 1 } });
    const controller = new AbortController();
    const parts = languageModel.generate({ text: "One", deviceId: "a" }, controller.signal);
    await parts[Symbol.asyncIterator]().next();
    controller.abort(new Error("barge-in"));
    emulator.play({ deltas: ["Yes"] });
    expect(await ask({ text: "Two", deviceId: "a" })).toBe("Yes");
  });

  it("move to a new connection before the server closes theirs", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    emulator.goAway();
    await expect.poll(() => emulator.connections()).toBe(0);
    await ask({ text: "Two", deviceId: "a" });
    expect(asked()).toMatchObject({ connection: 1, heard: ["One"] });
    expect(asked()?.setup.sessionResumption).toEqual({ handle: "handle-0-1" });
  });

  it("finish the turn in which the server announces its end", async () => {
    emulator.play({ deltas: ["Well", ",", " yes"], partMs: 20 });
    const prompt = { text: "One", deviceId: "a" };
    const reply = languageModel
      .generate(prompt, new AbortController().signal)
      [Symbol.asyncIterator]();
    await reply.next();
    emulator.goAway();
    await emulator.settle();
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => reply });
    expect(rest.at(-2)).toEqual({ type: "transcript", text: " yes" });
    await ask({ text: "Two", deviceId: "a" });
    expect(asked()?.connection).toBe(1);
  });

  it("survive a connection that dies just as a turn begins", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    emulator.dropConnections();
    expect(await ask({ text: "Two", deviceId: "a" })).toBe("Well.");
    expect(asked()?.heard).toEqual(["One"]);
  });

  it("are told of a turn that was cut after they had sent it whole, as it was heard", async () => {
    await ask({ text: "One", deviceId: "a", turnId: "1" });
    const one = { user: "One", assistant: "Well.", turnId: "1" };
    await ask({ text: "Two", deviceId: "a", turnId: "2", history: [one] });
    await untilTokens(2);
    emulator.play({ deltas: ["Well."] });
    const history = [
      one,
      { user: "Two", assistant: "We [interrupted]", turnId: "2", interrupted: true as const },
    ];
    await ask({ text: "Three", deviceId: "a", turnId: "3", history });
    expect(textsOf(asked())).toEqual(["Two", "We [interrupted]", "Three"]);
  });

  it("begin a new session with the whole history when the server has dropped theirs", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    emulator.goAway();
    emulator.forgetSessions();
    await expect.poll(() => emulator.connections()).toBe(0);
    await ask({ text: "Two", deviceId: "a", history: [{ user: "One", assistant: "Well." }] });
    expect(asked()?.setup.sessionResumption).toEqual({});
    expect(asked()?.contents.map(({ parts }) => parts?.[0]?.text)).toEqual(["One", "Well.", "Two"]);
  });

  it("begin a new session when the history differs", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    await ask({ text: "Two", deviceId: "a", history: [] });
    expect(asked()).toMatchObject({ connection: 1, heard: [] });
    expect(asked()?.setup.sessionResumption).toEqual({});
  });

  it("begin a new session when the resumption token has expired", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    emulator.dropConnections();
    await expect.poll(() => emulator.connections()).toBe(0);
    nowMs = 2 * 3_600_000;
    await ask({ text: "Two", deviceId: "a" });
    expect(asked()).toMatchObject({ heard: [] });
  });

  it("are dropped beyond the limit, the least recently used first", async () => {
    await restart({ warmConnections: 0, conversations: 2 });
    for (const deviceId of ["a", "b", "c"]) await ask({ text: deviceId, deviceId });
    await expect.poll(() => emulator.connections()).toBe(2);
    await ask({ text: "a", deviceId: "a" });
    expect(asked()?.heard).toEqual([]);
  });

  it("close an idle connection, and resume later", async () => {
    await restart({ warmConnections: 0, idleMs: 50 });
    await ask({ text: "One", deviceId: "a" });
    await expect.poll(() => emulator.connections()).toBe(0);
    await ask({ text: "Two", deviceId: "a" });
    expect(asked()?.heard).toEqual(["One"]);
  });
});

describe("prepare of gemini-live", () => {
  const prepare = (context: PromptContext, signal = new AbortController().signal) =>
    languageModel.prepare?.(context, signal) ?? Promise.reject(new Error("prepare is missing"));

  it("resumes the server session on a connection for the next turn", async () => {
    await ask({ text: "One", deviceId: "a" });
    await untilTokens(1);
    emulator.dropConnections();
    await expect.poll(() => emulator.connections()).toBe(0);
    await prepare({ deviceId: "a", history: [{ user: "One", assistant: "Well." }] });
    expect(emulator.connections()).toBe(1);
    await ask({ text: "Two", deviceId: "a", history: [{ user: "One", assistant: "Well." }] });
    expect(emulator.attempts()).toBe(2);
    expect(asked()).toMatchObject({ connection: 1, heard: ["One"] });
    expect(asked()?.contents).toHaveLength(1);
  });

  it("opens one connection for a device, however often it is called", async () => {
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3].map(() => prepare({ deviceId: "a" }, signal)));
    await prepare({ deviceId: "a" }, signal);
    expect(emulator.attempts()).toBe(1);
    await ask({ text: "One", deviceId: "a" });
    expect(emulator.attempts()).toBe(1);
  });

  it("gives its connection to no other device or session", async () => {
    await prepare({ deviceId: "a", sessionId: "s" });
    await ask({ text: "One", deviceId: "b", sessionId: "s" });
    await ask({ text: "Two", deviceId: "a" });
    expect(emulator.requests.map(({ connection }) => connection)).toEqual([1, 2]);
  });

  it("makes a turn that starts meanwhile wait for its connection", async () => {
    emulator.play({ deltas: ["Well."], connectMs: 50 });
    const prepared = prepare({ deviceId: "a" });
    await ask({ text: "One", deviceId: "a" });
    await prepared;
    expect(emulator.attempts()).toBe(1);
  });

  it("closes its connection when the signal fires, unless a turn has taken it", async () => {
    const aborter = new AbortController();
    await prepare({ deviceId: "a" }, aborter.signal);
    await prepare({ deviceId: "a" }, aborter.signal);
    await prepare({ deviceId: "b" }, aborter.signal);
    await ask({ text: "One", deviceId: "b" });
    aborter.abort();
    await expect.poll(() => emulator.connections()).toBe(1);
    await ask({ text: "Two", deviceId: "b" });
    expect(asked()).toMatchObject({ connection: 1, heard: ["One"] });
  });

  it("keeps the last turn's connection, whether a turn comes now or not", async () => {
    await ask({ text: "One", deviceId: "a" });
    const aborter = new AbortController();
    await prepare({ deviceId: "a" }, aborter.signal);
    aborter.abort();
    await ask({ text: "Two", deviceId: "a" });
    expect(asked()).toMatchObject({ connection: 0, heard: ["One"] });
  });

  it("stops connecting when the signal fires, and lets the next turn connect for itself", async () => {
    emulator.play({ deltas: ["Well."], connectMs: 50 });
    const aborter = new AbortController();
    const prepared = prepare({ deviceId: "a" }, aborter.signal);
    aborter.abort(new Error("left"));
    await expect(prepared).rejects.toThrow("left");
    expect(await ask({ text: "One", deviceId: "a" })).toBe("Well.");
  });

  it("fails no turn when it fails", async () => {
    emulator.play({ fault: { kind: "refuse" } });
    await expect(prepare({ deviceId: "a" })).rejects.toThrow("gemini-live");
    emulator.play({ deltas: ["Well."] });
    expect(await ask({ text: "One", deviceId: "a" })).toBe("Well.");
  });
});

describe("the warm connections of gemini-live", () => {
  beforeEach(async () => {
    await restart({ warmConnections: 2 });
    await languageModel.start?.(new AbortController().signal);
    await expect.poll(() => emulator.connections()).toBe(2);
  });

  it("are ready, and replaced when one is used", async () => {
    await ask({ text: "One", deviceId: "a" });
    expect(asked()?.connection).toBeLessThan(2);
    await expect.poll(() => emulator.connections()).toBe(3);
    await ask({ text: "Two", deviceId: "b" });
    expect(asked()?.heard).toEqual([]);
  });

  it("are replaced when the server announces their end", async () => {
    nowMs = 540_000;
    emulator.goAway();
    await expect.poll(() => emulator.attempts()).toBe(4);
    await expect.poll(() => emulator.connections()).toBe(2);
  });

  it("are not reopened in a loop at a server that closes them", async () => {
    emulator.dropConnections();
    await expect.poll(() => emulator.connections()).toBe(0);
    expect(await ask({ text: "One" })).toBe("Well.");
    await expect.poll(() => emulator.connections()).toBe(2);
    expect(emulator.attempts()).toBe(5);
  });

  it("report why they cannot be opened, before any turn", async () => {
    emulator.play({ fault: { kind: "unauthorized" } });
    const errors: unknown[] = [];
    await restart({ warmConnections: 2, onError: (error) => errors.push(error) });
    await languageModel.start?.(new AbortController().signal);
    await expect.poll(() => errors).toHaveLength(2);
    expect(errors[0]).toMatchObject({ kind: "authentication", misconfigured: true });
  });

  it("leave the account room for the turns of as many devices as it may have connections", async () => {
    emulator.behave({ maxConnections: 3 });
    for (const deviceId of ["a", "b", "c", "d", "e"]) {
      expect(await ask({ text: deviceId, deviceId })).toBe("Well.");
    }
    // Refused once, none is tried again with each turn.
    const attempts = emulator.attempts();
    expect(await ask({ text: "again", deviceId: "e" })).toBe("Well.");
    expect(emulator.attempts()).toBe(attempts);
    nowMs = 60_000;
    emulator.behave({});
    await ask({ text: "later", deviceId: "e" });
    await expect.poll(() => emulator.connections()).toBe(5);
  });

  it("stay within the connections that the account is said to have", async () => {
    emulator.behave({ maxConnections: 3 });
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    await restart({ warmConnections: 2, maxConnections: 3, onError });
    await expect.poll(() => emulator.connections()).toBe(0);
    await languageModel.start?.(new AbortController().signal);
    await expect.poll(() => emulator.connections()).toBe(2);
    for (const deviceId of ["a", "b", "c", "d"]) {
      expect(await ask({ text: deviceId, deviceId })).toBe("Well.");
    }
    expect(errors).toEqual([]);
    expect(emulator.connections()).toBeLessThanOrEqual(3);
  });

  it("are closed by stop, including those being opened", async () => {
    nowMs = 540_000;
    emulator.goAway();
    await languageModel.stop?.();
    await expect.poll(() => emulator.connections()).toBe(0);
  });
});

function createModel(options: Partial<GeminiLiveOptions>): LanguageModel {
  const access = { apiKey: "key", baseUrl: emulator.url, model: "emulated", now: () => nowMs };
  return createGeminiLiveModel({ ...access, ...options });
}

async function restart(options: Partial<GeminiLiveOptions>): Promise<void> {
  await languageModel.stop?.();
  languageModel = createModel(options);
}

/** Turns that were answered as a whole. */
function talk(...prompts: readonly string[]): MessagePair[] {
  return prompts.map((user) => ({ user, assistant: "Well." }));
}

/** All that a turn told the server session, in order. */
function textsOf(request: ReturnType<typeof asked>) {
  return request?.contents.flatMap(({ parts = [] }) => parts.map(({ text }) => text));
}

function asked() {
  return emulator.requests.at(-1);
}

/** Waits until so many sessions can be resumed, and the gateway has their tokens. */
async function untilTokens(count: number): Promise<void> {
  await expect.poll(() => emulator.handles()).toBe(count);
  await emulator.settle();
}

async function ask(prompt: Prompt): Promise<string> {
  const parts = await Array.fromAsync(languageModel.generate(prompt, new AbortController().signal));
  return parts.map((part) => (part.type === "audio" ? "" : part.text)).join("");
}

/** Runs a turn until its first part, then cancels it. */
async function cancelled(prompt: Prompt): Promise<void> {
  emulator.play({ deltas: ["We"], fault: { kind: "hang", afterParts: 1 } });
  const controller = new AbortController();
  const parts = languageModel.generate(prompt, controller.signal)[Symbol.asyncIterator]();
  await parts.next();
  controller.abort(new Error("barge-in"));
  await expect(parts.next()).rejects.toThrow("barge-in");
  await expect.poll(() => emulator.active()).toBe(0);
}
