import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { EmulatorScript, FaultKind } from "../../emulators/script.ts";
import type { LanguageModel, ReplyPart } from "../../server/models/language-model.ts";
import { itUnless } from "../support/it-unless.ts";
import {
  deltas,
  describeFaults,
  describeWaits,
  never,
  type PlayedLanguageModel,
  secretWords,
  unicode,
  wordsOf,
} from "./language-model-suite-faults.ts";
import {
  begin,
  type Call,
  cancelMany,
  expectCancelled,
  readOn,
  untilPromptly,
} from "./suite-calls.ts";

/** A language model and its provider. */
export type OpenedLanguageModel = {
  readonly languageModel: LanguageModel;
  /** Sets the provider's script for the next prompts. */
  play(script: EmulatorScript): void;
  /** Requests in progress at the provider. */
  active(): number;
  /** Stops the provider, after the suite has stopped the language model. */
  stop(): Promise<void>;
};

/** What differs between language models. */
export type LanguageModelSuiteOptions = {
  /** Strings that no error may contain, such as keys. */
  readonly secrets?: readonly string[];
  /** Faults that the emulator or the protocol does not support. */
  readonly without?: readonly FaultKind[];
  /** True if the protocol has no retry delay. */
  readonly withoutRetryAfter?: true;
  /** What an answer without words is: an error of the provider, if true; else a proper end. */
  readonly emptyIsError?: true;
  /** True if it has no provider: it never waits and never fails. */
  readonly immediate?: true;
  /** True for a real service: `play` has no effect, and calls may be billed. */
  readonly live?: true;
};

const hugeReply = Array.from({ length: 500 }, (_, at) => `Word number ${at}, `);

/** The contract of every language model. Calls `open` once, then starts and stops the model. */
export function languageModelSuite(
  name: string,
  open: () => Promise<OpenedLanguageModel>,
  options: LanguageModelSuiteOptions = {},
): void {
  describe(`${name}, as a language model`, () => {
    let opened: OpenedLanguageModel;
    const play = (script: EmulatorScript) => opened.play(script);
    const ask: Call<ReplyPart> = (signal) =>
      opened.languageModel.generate({ text: secretWords }, signal);
    const idle = () => untilPromptly(() => opened.active() === 0);

    beforeAll(async () => {
      opened = await open();
      await opened.languageModel.start?.(new AbortController().signal);
    });
    afterEach(idle);
    afterAll(async () => {
      await opened.languageModel.stop?.();
      await opened.stop();
    });

    const watched = { play, ask, idle, active: () => opened.active() };
    describeReplies(watched);
    describeCancels(watched, options);
    if (!options.live) describeScripts(watched);
    if (!options.live && !options.immediate) {
      describeWaits(watched);
      describeFaults(watched, { provider: () => opened.languageModel.name, ...options });
    }
  });
}

function describeReplies({ play, ask }: PlayedLanguageModel): void {
  it("yields words, either as text, or as audio at one rate and its transcript", async () => {
    play({ deltas });
    const parts = await Array.fromAsync(ask(never()));
    expect(wordsOf(parts).trim()).not.toBe("");
    const types = new Set(parts.map((part) => part.type));
    expect(types.has("text") && types.size > 1).toBe(false);
    const rates = parts.flatMap((part) => (part.type === "audio" ? [part.sampleRateHz] : []));
    expect(new Set(rates).size).toBeLessThanOrEqual(1);
  });

  it("leaves no listener on the signal of a complete reply", async () => {
    play({ deltas });
    const call = begin(ask);
    await readOn(call);
    expect(call.listeners()).toBe(0);
    call.cancel();
    expect(await call.next()).toBeUndefined();
  });
}

/** Tests replies whose words are known. */
function describeScripts({ play, ask }: PlayedLanguageModel): void {
  it.each([
    ["deltas", deltas],
    ["any script", unicode],
    ["markup", ['<speak>"A" & B</speak>', " &amp; \\n {", '"data": [DONE]', "}\n\n", "data: x"]],
    ["one delta", ["Yes"]],
    ["a very long reply", hugeReply],
  ])("yields the words exactly and in order: %s", async (_, reply) => {
    play({ deltas: reply });
    const parts = await Array.fromAsync(ask(never()));
    expect(wordsOf(parts)).toBe(reply.join(""));
    expect(parts.every((part) => part.type !== "audio" || part.pcm.length > 0)).toBe(true);
  });

  it("keeps concurrent replies apart", async () => {
    play({ deltas });
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => Array.fromAsync(ask(never()))),
    );
    expect(replies.map(wordsOf)).toEqual(Array(8).fill(deltas.join("")));
  });
}

function describeCancels(
  watched: PlayedLanguageModel,
  { immediate, live }: LanguageModelSuiteOptions,
): void {
  const { play, ask, idle, active } = watched;
  const times = live ? 8 : 200;

  it("sends nothing when the signal has fired before", async () => {
    play({ deltas });
    await expectCancelled(begin(ask));
    expect(active()).toBe(0);
  });

  itUnless(immediate)("releases the provider when it is cancelled but not pulled", async () => {
    play({ deltas: hugeReply, partMs: 5 });
    const call = begin(ask);
    expect(await call.next()).toBeDefined();
    const reason = call.cancel();
    await idle();
    await expect(call.next()).rejects.toBe(reason);
  });

  itUnless(immediate)("releases the provider when its reader leaves", async () => {
    play({ deltas: hugeReply, partMs: 5 });
    const call = begin(ask);
    expect(await call.next()).toBeDefined();
    await call.leave();
    await idle();
    expect(call.listeners()).toBe(0);
  });

  it(`leaves nothing behind after ${times} cancels`, { timeout: 60_000 }, async () => {
    play({ deltas, partMs: 1 });
    const tookMs = await cancelMany(ask, { active, times, immediate });
    // The target is 10 ms; the rest allows for a busy machine.
    expect(tookMs[times / 2]).toBeLessThan(50);
  });
}
