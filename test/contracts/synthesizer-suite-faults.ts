import { expect, it } from "vitest";
import type { EmulatorScript, FaultKind } from "../../emulators/script.ts";
import type { SpeechPart } from "../../server/models/synthesizer.ts";
import { itUnless } from "../support/it-unless.ts";
import { begin, expectCancelled, readOn, untilPromptly, untilStill } from "./suite-calls.ts";
import { expectError, type FailingKind, failingKinds, outcomeOf } from "./suite-faults.ts";

/** The text to speak. No error may repeat it. */
export const sentence = "It costs three dollars, and that is all I know.";

/** A voice under test. */
export type PlayedVoice = {
  play(script: EmulatorScript): void;
  speak(text: string, signal?: AbortSignal): AsyncIterable<SpeechPart>;
  /** Sentences in progress at the provider. */
  active(): number;
  /** Waits until none is in progress. */
  idle(): Promise<number>;
};

/** Expects audio at one rate, without empty parts, with matching timings. Returns the number of samples. */
export function expectAudio(parts: readonly SpeechPart[], text: string): number {
  expect(parts.length).toBeGreaterThan(0);
  expect(parts.filter((part) => part.pcm.length === 0)).toEqual([]);
  const rates = new Set(parts.map((part) => part.sampleRateHz));
  expect(rates.size).toBe(1);
  const samples = parts.reduce((sum, part) => sum + part.pcm.length, 0);
  expectTimings(parts, { text, samples });
  return samples;
}

/** Expects each word at its position in the text, in order, and within the audio. */
function expectTimings(
  parts: readonly SpeechPart[],
  { text, samples }: { text: string; samples: number },
): void {
  const words = parts.flatMap((part) => part.words ?? []);
  let textEnd = 0;
  let audioStart = 0;
  for (const { word, textStart, startSample, endSample } of words) {
    expect(text.slice(textStart, textStart + word.length)).toBe(word);
    expect(textStart).toBeGreaterThanOrEqual(textEnd);
    expect(startSample).toBeGreaterThanOrEqual(audioStart);
    expect(endSample).toBeGreaterThan(startSample);
    expect(endSample).toBeLessThanOrEqual(samples);
    textEnd = textStart + word.length;
    audioStart = startSample;
  }
}

/** Options of the fault tests. */
type FaultOptions = {
  readonly provider: () => string;
  readonly secrets?: readonly string[];
  readonly without?: readonly FaultKind[];
  readonly withoutRetryAfter?: true;
};

/** Tests every fault that the emulator can play. */
export function describeFaults(suite: PlayedVoice, options: FaultOptions): void {
  const { play, speak, idle, active } = suite;
  const { provider, secrets = [], without = [], withoutRetryAfter } = options;
  const kinds = failingKinds.filter((kind) => !without.includes(kind));
  const expectErrorOf = (error: unknown, kind: FailingKind) =>
    expectError(error, { provider: provider(), kind, secrets: [...secrets, sentence] });

  it.each(kinds)("reports the kind of the error: %s", async (kind) => {
    play({ fault: { kind, retryAfterSeconds: 7 } });
    const { parts, error } = await outcomeOf(speak(sentence));
    expect(parts).toEqual([]);
    const fault = expectErrorOf(error, kind);
    if (kind === "rate-limit" && !withoutRetryAfter) expect(fault.retryAfterMs).toBe(7_000);
  });

  itUnless(without.includes("cut"))("yields what came before a cut", async () => {
    play({ partMs: 5, fault: { kind: "cut", afterParts: 2 } });
    const { parts, error } = await outcomeOf(speak(sentence));
    expect(parts.length).toBeGreaterThan(0);
    expectErrorOf(error, "cut");
  });

  it("ends at once while it waits for the first part", async () => {
    play({ fault: { kind: "hang" } });
    const call = begin((signal) => speak(sentence, signal));
    const pending = call.next();
    pending.catch(() => undefined);
    await untilPromptly(() => active() > 0);
    await expectCancelled(call, pending);
    await idle();
  });

  it("ends at once while it waits for the next part", async () => {
    play({ fault: { kind: "hang", afterParts: 2 } });
    const call = begin((signal) => speak(sentence, signal));
    let parts = 0;
    const pending = readOn(call, () => {
      parts += 1;
    });
    pending.catch(() => undefined);
    await untilStill(() => parts);
    await expectCancelled(call, pending);
    await idle();
  });

  itUnless(without.includes("drip"))("reads a response that arrives byte by byte", async () => {
    play({ fault: { kind: "drip" } });
    expectAudio(await Array.fromAsync(speak("Yes.")), "Yes.");
  });

  itUnless(without.includes("empty"))("yields no audio for an empty response", async () => {
    play({ fault: { kind: "empty" } });
    const { parts, error } = await outcomeOf(speak(sentence));
    expect(parts).toEqual([]);
    expect(error).toBeUndefined();
  });

  itUnless(without.includes("wrong-rate"))("states another rate", async () => {
    play({ fault: { kind: "wrong-rate" } });
    expectAudio(await Array.fromAsync(speak(sentence)), sentence);
  });

  it("works again after every fault", { timeout: 30_000 }, async () => {
    for (const kind of kinds) {
      play({ fault: { kind } });
      await outcomeOf(speak(sentence));
      await idle();
      play({});
      expectAudio(await Array.fromAsync(speak(sentence)), sentence);
    }
  });
}
