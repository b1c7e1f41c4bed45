import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { EmulatorScript, FaultKind } from "../../emulators/script.ts";
import type { SpeechPart, Synthesizer } from "../../server/models/synthesizer.ts";
import { itUnless } from "../support/it-unless.ts";
import { begin, type Call, cancelMany, expectCancelled, untilPromptly } from "./suite-calls.ts";
import {
  describeFaults,
  expectAudio,
  type PlayedVoice,
  sentence,
} from "./synthesizer-suite-faults.ts";

/** A voice and its provider. */
export type OpenedSynthesizer = {
  readonly synthesizer: Synthesizer;
  /** Sets the provider's script for the next sentences; absent if it has none. */
  play?(script: EmulatorScript): void;
  /** Sentences in progress at the provider. */
  active(): number;
  /** Stops the provider, after the suite has stopped the voice. */
  stop(): Promise<void>;
};

/** What differs between voices. */
export type SynthesizerSuiteOptions = {
  /** Strings that no error may contain, such as keys. */
  readonly secrets?: readonly string[];
  /** Faults that the emulator or the protocol does not support. */
  readonly without?: readonly FaultKind[];
  /** True if the protocol has no retry delay. */
  readonly withoutRetryAfter?: true;
  /** True if it has no scripted provider: no faults can be played. */
  readonly unscripted?: true;
  /** True if the length of its audio is limited. */
  readonly capped?: true;
  /** True for a real service, whose calls may be billed. */
  readonly live?: true;
  /** True if 10,000 characters take minutes: they are begun but not completed. */
  readonly slow?: true;
};

const longSentence = "and so it goes on ".repeat(556).slice(0, 9_999).concat(".");
const scripts: readonly (readonly [string, string])[] = [
  ["accents", "Café naïve, e\u0301te\u0301 in São Paulo."],
  ["emoji", "Well done 👩‍👩‍👧 👍🏽!"],
  ["CJK", "你好，世界。日本語です。"],
  ["right to left", "שלום עולם, مرحبا"],
  ["Cyrillic", "Привет, мир."],
  ["markup", `<speak>"Fish" & 'chips' </speak> ]]> &amp; <break time="9s"/> ok`],
  ["control characters", "One\u0000 two\u0007 three\uffff \u2028four\ud800."],
  ["numbers", "On 3/4 at 5:30 p.m. Dr. J. paid $3.50."],
];

/** The contract of every voice. Calls `open` once, then starts and stops the voice. */
export function synthesizerSuite(
  name: string,
  open: () => Promise<OpenedSynthesizer>,
  options: SynthesizerSuiteOptions = {},
): void {
  describe(`${name}, as a synthesizer`, () => {
    let opened: OpenedSynthesizer;
    const play = (script: EmulatorScript) => {
      if (opened.play) opened.play(script);
      else
        expect(options.unscripted ?? options.live, "a voice without a script says so").toBe(true);
    };
    const speak = (text: string, signal = new AbortController().signal) =>
      opened.synthesizer.synthesize(text, {}, signal);
    const idle = () => untilPromptly(() => opened.active() === 0);
    const suite = { play, speak, idle, active: () => opened.active() };

    beforeAll(async () => {
      opened = await open();
      await opened.synthesizer.start?.(new AbortController().signal);
    });
    afterEach(async () => {
      opened.play?.({});
      await idle();
    });
    afterAll(async () => {
      await opened.synthesizer.stop?.();
      await opened.stop();
    });

    it("yields the timing of every word, or of none, as `hasWordTimings` says", async () => {
      const parts = await Array.fromAsync(speak(sentence));
      const words = parts.flatMap((part) => part.words ?? []).map(({ word }) => word);
      const letters = words.map((word) => word.replace(/[^\p{L}]/gu, "")).filter(Boolean);
      const told = opened.synthesizer.hasWordTimings ? sentence.match(/\p{L}+/gu) : [];
      expect(letters).toEqual(told);
    });
    describeSpeech(suite, options);
    describeCancels(suite, options);
    if (!options.unscripted && !options.live) {
      describeFaults(suite, { provider: () => opened.synthesizer.name, ...options });
    }
  });
}

function describeSpeech(
  { speak, idle }: PlayedVoice,
  { slow, live, capped }: SynthesizerSuiteOptions,
): void {
  it("speaks a sentence at one rate, without empty parts", async () => {
    const parts = await Array.fromAsync(speak(sentence));
    const samples = expectAudio(parts, sentence);
    const seconds = samples / (parts[0]?.sampleRateHz ?? 1);
    expect(seconds).toBeGreaterThan(0.2);
    expect(seconds).toBeLessThan(30);
  });

  it.each(scripts)("speaks any script: %s", async (_, text) => {
    expectAudio(await Array.fromAsync(speak(text)), text);
  });

  it("speaks a single letter and a single digit", async () => {
    for (const text of ["I", "7"]) expectAudio(await Array.fromAsync(speak(text)), text);
  });

  itUnless(slow || live)("speaks 10,000 characters", { timeout: 120_000 }, async () => {
    expect(longSentence.length).toBe(10_000);
    const short = expectAudio(await Array.fromAsync(speak(sentence)), sentence);
    const long = expectAudio(await Array.fromAsync(speak(longSentence)), longSentence);
    // It is two hundred times as long.
    expect(long).toBeGreaterThan(capped ? short : 50 * short);
  });

  it("begins 10,000 characters without waiting for their end", { timeout: 30_000 }, async () => {
    const call = begin((signal) => speak(longSentence, signal));
    for (let part = 0; part < 3; part++) expect((await call.next())?.pcm.length).toBeGreaterThan(0);
    await call.leave();
    await idle();
    expect(call.listeners()).toBe(0);
  });

  it("keeps concurrent sentences apart", async () => {
    const texts = ["One.", sentence, "Seven words stand here in a row.", "Two words."];
    const spoken = await Promise.all(texts.map((text) => Array.fromAsync(speak(text))));
    const lengths = spoken.map((parts, at) => expectAudio(parts, texts[at] ?? ""));
    expect(lengths[1]).toBeGreaterThan(lengths[0] ?? 0);
  });

  it("leaves no listener on the signal of a complete sentence", async () => {
    const call = begin((signal) => speak("Yes.", signal));
    while ((await call.next()) !== undefined);
    expect(call.listeners()).toBe(0);
    call.cancel();
    expect(await call.next()).toBeUndefined();
  });
}

function describeCancels(
  { speak, idle, active }: PlayedVoice,
  { live }: SynthesizerSuiteOptions,
): void {
  const times = live ? 8 : 200;
  const say: Call<SpeechPart> = (signal) => speak("Yes, it is.", signal);

  it("speaks nothing when the signal has fired before", async () => {
    await expectCancelled(begin(say));
    expect(active()).toBe(0);
  });

  it("ends with the reason between two parts", async () => {
    const call = begin((signal) => speak(longSentence, signal));
    expect(await call.next()).toBeDefined();
    await expectCancelled(call);
    await idle();
  });

  it("releases the provider when it is cancelled but not pulled", async () => {
    const call = begin((signal) => speak(longSentence, signal));
    expect(await call.next()).toBeDefined();
    const reason = call.cancel();
    await idle();
    await expect(call.next()).rejects.toBe(reason);
  });

  it(`leaves nothing behind after ${times} cancels`, { timeout: 120_000 }, async () => {
    const tookMs = await cancelMany(say, { active, times });
    // The target is 10 ms; the rest allows for a busy machine.
    expect(tookMs[times / 2]).toBeLessThan(50);
  });
}
