import { getEventListeners } from "node:events";
import { setImmediate as turnOfLoop } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createScriptedLanguageModel,
  type ReplyStep,
} from "../../test/support/scripted-language-model.ts";
import {
  createSpellingVoice,
  readSpelling,
  SAMPLES_A_LETTER,
} from "../../test/support/spelling-voice.ts";
import { NoProviderLeft, ProviderError } from "../core/errors.ts";
import { createTier } from "../failover/tier.ts";
import type { LanguageModel, ReplyPart } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";
import type { TurnState } from "../storage/records.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import { createActiveTurns } from "./active-turns.ts";
import { type Conversation, createConversation } from "./conversation.ts";
import type { History } from "./history.ts";
import { createLocalHistory } from "./local-history.ts";
import type { TurnChunk } from "./reply.ts";
import type { TurnListener } from "./turn.ts";
import { parseTurn } from "./turn-request.ts";

const timeouts = { firstPartMs: 60_000, idleMs: 60_000, totalMs: 60_000 };
const never = new Promise<never>(() => undefined);
const live = () => new AbortController().signal;
const limits = {
  maxTurns: 9,
  maxTurnsPerDevice: 9,
  maxTurnsPerConnection: 9,
  maxTurnMs: 60_000,
};

function converse(
  languageModels: readonly LanguageModel[],
  voice: Synthesizer,
  { frameMs = 96, history = createLocalHistory() as History } = {},
) {
  const reports: TurnReport[] = [];
  const conversation = createConversation({
    languageModels: languageModels.map((each) => createTier(each, timeouts)),
    synthesizers: [createTier(voice, timeouts)],
    frameMs,
    history,
    activeTurns: createActiveTurns(limits),
    observe: () => ({ onEnd: (report) => void reports.push(report) }),
  });
  return { conversation, reports };
}

const ask = (
  conversation: Conversation,
  signal = live(),
  fields = {},
  listener: TurnListener = {},
) => conversation.talk(parseTurn({ prompt: "p", hardware_id: "d", ...fields }), signal, listener);

function talk(
  script: readonly ReplyStep[],
  voice: Synthesizer = createSpellingVoice(),
  signal = live(),
) {
  const languageModel = createScriptedLanguageModel(script);
  const { conversation } = converse([languageModel], voice);
  return { languageModel, chunks: oneByOne(ask(conversation, signal)) };
}

const textOf = (chunks: readonly TurnChunk[]) =>
  chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("");
const pcmOf = (chunks: readonly TurnChunk[]) =>
  chunks.flatMap((chunk) => (chunk.type === "audio" ? [chunk.pcm] : []));
const shapeOf = (chunks: readonly TurnChunk[]) =>
  chunks.map((chunk) => (chunk.type === "text" ? chunk.text : chunk.pcm.length));

async function* oneByOne(batches: AsyncIterable<readonly TurnChunk[]>) {
  for await (const batch of batches) yield* batch;
}

describe("talk", () => {
  it("yields each sentence's text, and then its voice in frames of which only the last is short", async () => {
    const chunks = await Array.fromAsync(talk(["Hello there. ", "Bye."]).chunks);
    const [hello, bye] = [13 * 480, 4 * 480];
    expect(shapeOf(chunks)).toEqual(["Hello there. ", 4608, hello - 4608, "Bye.", bye]);
    expect(readSpelling(pcmOf(chunks))).toBe("Hello there. Bye.");
  });

  it("gives the reply letter by letter, whatever the cut of its deltas", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("Yes", ".", " ", "\n", "A b", "!", "…", "3.5", "да", "。", "“q”")),
        async (deltas) => {
          fc.pre(deltas.join("") !== "");
          const chunks = await Array.fromAsync(talk(deltas).chunks);
          expect(textOf(chunks)).toBe(deltas.join(""));
          expect(
            chunks.every((chunk) => (chunk.type === "text" ? chunk.text : chunk.pcm).length > 0),
          ).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("speaks one word, and a tail without a full stop", async () => {
    for (const reply of ["Yes", "First. and then some"]) {
      const chunks = await Array.fromAsync(talk([reply]).chunks);
      expect(readSpelling(pcmOf(chunks))).toBe(reply);
    }
  });

  it("sends text without a letter or digit, and does not speak it", async () => {
    const voice = createSpellingVoice();
    const chunks = await Array.fromAsync(talk(["Wow.\n", "—\n", "…\n", "So."], voice).chunks);
    expect(textOf(chunks)).toBe("Wow.\n—\n…\nSo.");
    expect(voice.texts.every((text) => /\w/.test(text))).toBe(true);
  });

  it("speaks the first clause of a long sentence while the rest is still being written", async () => {
    const opening = "When the rain had stopped at last over the hills,";
    const { chunks } = talk([opening, " we", never]);
    expect((await chunks.next()).value).toMatchObject({ type: "text" });
    expect((await chunks.next()).value).toMatchObject({ type: "audio" });
    chunks.return(undefined);
  });

  it("prepares two sentences ahead of the one being sent, and no more", async () => {
    const voice = createSpellingVoice();
    const { chunks } = talk(["One. ", "Two. ", "Three. ", "Four. ", "Five. ", "Six."], voice);
    await chunks.next();
    for (let i = 0; i < 50; i++) await turnOfLoop();
    expect(voice.texts).toEqual(["One. ", "Two. ", "Three. "]);
    await chunks.return(undefined);
  });

  it("tells the voice whose sentences they are, so that it can be fair", async () => {
    const keys: unknown[] = [];
    const voice = createSpellingVoice();
    const listening: Synthesizer = {
      ...voice,
      synthesize(text, how, signal) {
        keys.push(how.queueKey);
        return voice.synthesize(text, how, signal);
      },
    };
    await Array.fromAsync(talk(["One. ", "Two. ", "Three."], listening).chunks);
    expect(keys).toEqual(["d", "d", "d"]);
  });

  it("speaks the next sentence while the present one is still being made", async () => {
    const first = Promise.withResolvers<void>();
    const voice = createSpellingVoice({
      gate: (text) => (text === "One. " ? first.promise : undefined),
    });
    const { chunks } = talk(["One. ", "Two. "], voice);
    await chunks.next();
    for (let i = 0; i < 20; i++) await turnOfLoop();
    expect(voice.texts).toEqual(["One. ", "Two. "]);
    first.resolve();
    expect(readSpelling(pcmOf(await Array.fromAsync(chunks)))).toBe("One. Two. ");
  });

  it("ends at once when the client leaves though the language model hangs, and releases it", async () => {
    const aborter = new AbortController();
    const voice = createSpellingVoice();
    const { chunks, languageModel } = talk(["One. T", never], voice, aborter.signal);
    await chunks.next();
    await chunks.next();
    const parked = Array.fromAsync(chunks);
    aborter.abort();
    await expect(parked).rejects.toThrow("the client left");
    await turnOfLoop();
    expect(languageModel.cancels()).toBe(1);
    expect(voice.active()).toBe(0);
    expect(getEventListeners(aborter.signal, "abort")).toHaveLength(0);
  });

  it("releases the providers when the reader leaves", async () => {
    const voice = createSpellingVoice({
      gate: (text) => (text.startsWith("Two") ? never : undefined),
    });
    const { chunks } = talk(["One. ", "Two. ", "Three. ", "Four. "], voice);
    for await (const chunk of chunks) if (chunk.type === "audio") break;
    for (let i = 0; i < 10; i++) await turnOfLoop();
    expect(voice.active()).toBe(0);
  });

  it("ends a reply that no model can continue at its last whole word, and tells that it is partial", async () => {
    const failure = new ProviderError("scripted", "server", "went away");
    let partials = 0;
    const listener = {
      onPartial() {
        partials += 1;
      },
    };
    const said: string[] = [];
    for (const deltas of [["One. Two and"], ["One. Two thr"], ["One. Two."], ["One."]]) {
      const { conversation } = converse(
        [createScriptedLanguageModel([...deltas, failure])],
        createSpellingVoice(),
        { frameMs: 32 },
      );
      const chunks = await Array.fromAsync(oneByOne(ask(conversation, live(), {}, listener)));
      said.push(readSpelling(pcmOf(chunks)));
    }
    expect(said).toEqual(["One. Two", "One. Two", "One. Two.", "One."]);
    expect(partials).toBe(4);
  });

  it("asks no model to continue that can only begin, and never glues its notice", async () => {
    const failing = createScriptedLanguageModel(["The train leaves at nine.", down("a")], "a");
    const offline = {
      ...createScriptedLanguageModel(["No model is set up."], "b"),
      startsOnly: true,
    };
    expect((await hear(failing, offline)).spoken).toBe("The train leaves at nine.");
    const mute = createScriptedLanguageModel([down("a")], "a");
    expect((await hear(mute, offline)).spoken).toBe("No model is set up.");
  });

  it("speaks a short refusal when a model withholds its reply, and asks no laxer one", async () => {
    const withheld = new ProviderError("a", "withheld", "the reply was withheld (SAFETY)");
    const strict = createScriptedLanguageModel([withheld], "a");
    const lax = createScriptedLanguageModel(["Gladly."], "b");
    expect((await hear(strict, lax)).spoken).toBe("I'm sorry, I can't help with that.");
  });

  it("ends well and says nothing when a model has nothing to say", async () => {
    const empty = createScriptedLanguageModel(
      [new ProviderError("a", "empty", "nothing to say")],
      "a",
    );
    expect((await hear(empty, createScriptedLanguageModel(["Well."], "b"))).spoken).toBe("");
  });

  it("ends well when the next model has nothing to add", async () => {
    const first = createScriptedLanguageModel(["All is said.", down("a")], "a");
    expect((await hear(first, createScriptedLanguageModel([], "b"))).spoken).toBe("All is said.");
  });

  it("sends the rest of the text when no voice is left, and then throws why", async () => {
    const mute: Synthesizer = { name: "mute", synthesize: async function* () {} };
    const got: TurnChunk[] = [];
    const reading = (async () => {
      for await (const chunk of talk(["One. Two. Three."], mute).chunks) got.push(chunk);
    })();
    await expect(reading).rejects.toThrow(NoProviderLeft);
    expect(got.map((chunk) => (chunk.type === "text" ? chunk.text : chunk)).join("")).toBe(
      "One. Two. Three.",
    );
  });

  it("names each tier with its first chunk, and which one it follows", async () => {
    const models = [
      createScriptedLanguageModel(["One two. ", down("a")], "a"),
      createScriptedLanguageModel(["Three. Four."], "b"),
    ];
    const chunks = await Array.fromAsync(
      oneByOne(ask(converse(models, createSpellingVoice(), { frameMs: 32 }).conversation)),
    );
    expect(chunks.flatMap(({ type, source }) => (source ? [{ type, ...source }] : []))).toEqual([
      { type: "text", tier: "a" },
      { type: "audio", tier: "spelling" },
      { type: "text", tier: "b", from: "a", reason: "server" },
    ]);
  });

  it("throws every cause when no voice is left", async () => {
    const mute: Synthesizer = { name: "mute", synthesize: async function* () {} };
    await expect(Array.fromAsync(talk(["One."], mute).chunks)).rejects.toThrow(NoProviderLeft);
  });
});

const down = (name: string) => new ProviderError(name, "server", "went away");

async function hear(...languageModels: readonly LanguageModel[]) {
  const voice = createSpellingVoice();
  const chunks = await Array.fromAsync(
    oneByOne(ask(converse(languageModels, voice, { frameMs: 32 }).conversation)),
  );
  const audio = chunks.filter((chunk) => chunk.type === "audio");
  const words = audio.flatMap((chunk) => chunk.words ?? []);
  return { text: textOf(chunks), spoken: readSpelling(pcmOf(chunks)), voice, audio, words };
}

/** A model that speaks by itself: each letter of its words is sound that spells it. */
function speaking(parts: readonly (string | Error)[]): LanguageModel {
  return {
    name: "speaking",
    async *generate(): AsyncGenerator<ReplyPart> {
      for (const part of parts) {
        if (part instanceof Error) throw part;
        yield { type: "transcript", text: part };
        for (const letter of part) {
          const pcm = new Int16Array(SAMPLES_A_LETTER).fill(letter.charCodeAt(0));
          yield { type: "audio", pcm, sampleRateHz: 48_000 };
        }
      }
    },
  };
}

describe("talk, when a tier fails midway", () => {
  it("has the next language model go on from what was said, each word once", async () => {
    const first = createScriptedLanguageModel(["One two. Thr", down("first")], "first");
    const second = createScriptedLanguageModel(
      ({ prefix = "" }) => ["One two. Three four.".slice(prefix.length)],
      "second",
    );
    const { text, spoken } = await hear(first, second);
    expect(text).toBe("One two. Three four.");
    expect(spoken).toBe(text);
    expect(second.prompts).toMatchObject([{ text: "p", prefix: "One two. Thr" }]);
  });

  it("passes the voice of a model that speaks by itself on, unspoken by any other", async () => {
    const { text, spoken, voice, words } = await hear(speaking(["Hello ", "you."]));
    expect([text, spoken]).toEqual(["Hello you.", "Hello you."]);
    const [hello, you] = words.map(({ startSample }) => startSample / SAMPLES_A_LETTER);
    expect([hello, you]).toEqual([0, "Hello ".length]);
    expect(voice.texts).toEqual([]);
  });

  it("goes on in writing when a model that speaks by itself fails", async () => {
    const { text, spoken, voice } = await hear(
      speaking(["Hello ", down("speaking")]),
      createScriptedLanguageModel(["there, ", "you."], "second"),
    );
    expect([text, spoken]).toEqual(["Hello there, you.", "Hello there, you."]);
    expect(voice.texts).toEqual(["there, you."]);
  });

  it("counts the samples of words from the start of the turn", async () => {
    const { words, spoken } = await hear(createScriptedLanguageModel(["One. ", "Two three."]));
    const heard = words.map(({ startSample, endSample }) =>
      spoken.slice(startSample / SAMPLES_A_LETTER, endSample / SAMPLES_A_LETTER),
    );
    expect(words.map(({ word }) => word)).toEqual(["One", "Two", "three"]);
    expect(words[1]?.startSample).toBeGreaterThanOrEqual(5 * SAMPLES_A_LETTER);
    expect(heard).toHaveLength(3);
  });
});

describe("talk, in batches", () => {
  /** Yields so many samples in parts of 100 ms, all ready at once. */
  const fast = (samples: number): Synthesizer => ({
    name: "fast",
    async *synthesize() {
      for (let at = 0; at < samples; at += 4800) {
        yield {
          pcm: new Int16Array(Math.min(4800, samples - at)).fill(1000),
          sampleRateHz: 48_000,
        };
      }
    },
  });
  const lengthsOf = (batch: readonly TurnChunk[]) =>
    batch.reduce((sum, chunk) => sum + (chunk.type === "audio" ? chunk.pcm.length : 0), 0);

  it("sends the text and the first sound alone, and then what is ready, 1 s of sound at most", async () => {
    const { conversation } = converse([createScriptedLanguageModel(["Hello."])], fast(192_000));
    const batches: (readonly TurnChunk[])[] = [];
    for await (const batch of ask(conversation)) {
      batches.push(batch);
      for (let i = 0; i < 50; i++) await turnOfLoop();
    }
    expect(batches[0]).toEqual([{ type: "text", text: "Hello.", source: { tier: "scripted" } }]);
    expect(batches[1]).toHaveLength(1);
    const rest = batches.slice(2);
    expect(rest.every((batch) => lengthsOf(batch) <= 48_000)).toBe(true);
    expect(Math.max(...rest.map((batch) => batch.length))).toBe(10);
    expect(batches.reduce((sum, batch) => sum + lengthsOf(batch), 0)).toBe(192_000);
  });

  it("has 5 s of a sentence's sound wait for a slow client, and one part, whatever a chunk's length", async () => {
    for (const frameMs of [32, 500]) {
      let made = 0;
      const endless: Synthesizer = {
        name: "endless",
        async *synthesize() {
          while (true) {
            made += 4800;
            yield { pcm: new Int16Array(4800).fill(1000), sampleRateHz: 48_000 };
          }
        },
      };
      const { conversation } = converse([createScriptedLanguageModel(["Go."])], endless, {
        frameMs,
      });
      const turn = ask(conversation);
      await turn.next();
      for (let i = 0; i < 500; i++) await turnOfLoop();
      expect(made).toBeGreaterThanOrEqual(240_000);
      expect(made).toBeLessThan(240_000 + 3 * 24_000);
      await turn.return(undefined);
    }
  });
});

describe("talk, in sessions", () => {
  it("names the device's current session in prompt, report and interrupt alike", async () => {
    const languageModel = createScriptedLanguageModel(["Yes. N", never]);
    const { conversation, reports } = converse([languageModel], createSpellingVoice());
    const turn = ask(conversation);
    await turn.next();
    const [sessionId] = (await conversation.interrupt("d")).sessions;
    await expect(Array.fromAsync(turn)).rejects.toThrow("interrupted");
    expect(sessionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(languageModel.prompts).toMatchObject([{ deviceId: "d", sessionId }]);
    expect(reports).toMatchObject([{ sessionId, outcome: "interrupted" }]);
  });

  it("recalls the turns of the device's current session, and of one that the client names apart", async () => {
    const languageModel = createScriptedLanguageModel(({ text }) => [`${text}!`]);
    const { conversation } = converse([languageModel], createSpellingVoice());
    const say = (prompt: string, session_id?: string) =>
      Array.fromAsync(ask(conversation, live(), { prompt, ...(session_id && { session_id }) }));
    for (const [prompt, session] of [["One"], ["Two"], ["Three", "s"], ["Four"]] as const) {
      await say(prompt, session);
    }
    const heard = languageModel.prompts.map(({ history = [] }) => history.map(({ user }) => user));
    expect(heard).toEqual([[], ["One"], [], ["One", "Two"]]);
    const ids = languageModel.prompts.map(({ sessionId }) => sessionId);
    expect([ids[1], ids[2], ids[3]]).toEqual([ids[0], "s", ids[0]]);
  });
});

describe("a turn that has ended", () => {
  it("holds its words for reports, and neither its screenshot nor its signal", async () => {
    const languageModel: LanguageModel = {
      name: "forgetful",
      async *generate() {
        yield { type: "text", text: "One two." };
      },
    };
    const { conversation } = converse([languageModel], createSpellingVoice());
    const turnId = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    const run = async () => {
      const aborter = new AbortController();
      const bytes = new Uint8Array(1024);
      const request = parseTurn({ prompt: "p", hardware_id: "d", turn_id: turnId });
      const screenshot = { bytes, mimeType: "image/png" as const, width: 1, height: 1 };
      const withPicture = { ...request, prompt: { ...request.prompt, screenshot } };
      await Array.fromAsync(conversation.talk(withPicture, aborter.signal));
      return [new WeakRef(bytes), new WeakRef(aborter.signal)];
    };
    const refs = await run();
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    await expect
      .poll(() => {
        collect();
        return refs.map((ref) => ref.deref() !== undefined);
      })
      .toEqual([false, false]);
    await conversation.reportPlayback({ deviceId: "d", turnId, samples: 0 });
  });
});

describe("reportPlayback", () => {
  it("leaves a turn done whose end is being kept, and is kept with it", async () => {
    const states: TurnState[] = [];
    const gate = Promise.withResolvers<void>();
    const history: History = {
      begin: () => ({
        write(state) {
          states.push(state);
          return gate.promise;
        },
      }),
      recall: async () => [],
    };
    const { conversation } = converse(
      [createScriptedLanguageModel(["One two."])],
      createSpellingVoice(),
      { history },
    );
    const turnId = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    const turn = Array.fromAsync(ask(conversation, live(), { turn_id: turnId }));
    await expect.poll(() => states.length).toBe(1);
    const report = conversation.reportPlayback({ deviceId: "d", turnId, samples: 0 });
    gate.resolve();
    await Promise.all([turn, report]);
    expect(states.map(({ status, heard }) => [status, heard])).toEqual([
      ["done", undefined],
      ["done", ""],
    ]);
  });
});
