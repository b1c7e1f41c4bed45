import { describe, expect, it } from "vitest";
import { outputRateHz } from "../core/audio/pcm.ts";
import type { WordTiming } from "../models/synthesizer.ts";
import type { TurnChunk } from "./reply.ts";
import { breakOf, cutChunks, TurnProgress } from "./turn-progress.ts";

const CHUNK = 1000;

const text = (words: string): TurnChunk => ({ type: "text", text: words });
const sound = (words?: readonly WordTiming[], synthesizer = "voice"): TurnChunk => ({
  type: "audio",
  pcm: new Int16Array(CHUNK),
  synthesizer,
  ...(words && { words }),
});
/** A word of "One two three." in so many samples. */
const word = (name: string, startSample: number, endSample: number): WordTiming => ({
  word: name,
  textStart: "One two three.".toLowerCase().indexOf(name.toLowerCase()),
  startSample,
  endSample,
});
const follow = () => new TurnProgress((tier) => tier === "voice");
const wordsOf = (chunk: TurnChunk | undefined) =>
  chunk?.type === "audio" ? chunk.words?.map((each) => each.word) : undefined;

describe("TurnProgress", () => {
  it("releases text at once, and sound up to the beginning of a word that is not whole", () => {
    const progress = follow();
    progress.take([text("One two three.")]);
    expect(progress.release(false)).toHaveLength(1);
    progress.take([sound([word("One", 0, 900), word("two", 1500, 2500)]), sound()]);
    expect(progress.release(false)).toHaveLength(1);
    progress.take([sound()]);
    expect(progress.release(false)).toHaveLength(2);
    expect(progress.held).toBe(0);
  });

  it("tells a word with the chunk in which it ends", () => {
    const progress = follow();
    const [, first, second, third] = progress.take([
      text("One two three."),
      sound([word("One", 0, 900), word("two", 1500, 2500)]),
      sound(),
      sound(),
    ]);
    expect([first, second, third].map(wordsOf)).toEqual([["One"], undefined, ["two"]]);
  });

  it("tells what ends behind all sound with the last chunk of the sentence, and writes that again", () => {
    const progress = follow();
    progress.take([text("One two three."), sound([word("One", 0, 1001)])]);
    expect(progress.release(false)).toHaveLength(1);
    const [again, next] = progress.take([text("More.")]);
    expect([wordsOf(again), next]).toEqual([["One"], text("More.")]);
    expect(progress.release(false).map(wordsOf)).toEqual([["One"], undefined]);
  });

  it("holds nothing back of a model that speaks by itself", () => {
    const progress = follow();
    progress.take([text("One "), sound([word("One", 500, 1500)], "live")]);
    expect(progress.release(false)).toHaveLength(2);
  });

  it("releases all in a pause, with what was not told", () => {
    const progress = follow();
    progress.take([text("One two three."), sound([word("One", 500, 1500)])]);
    expect(progress.pause().map(wordsOf)).toEqual([undefined, ["One"]]);
    expect(progress.release(true)).toHaveLength(2);
  });
});

describe("breakOf", () => {
  it("goes on behind the last whole word, and leaves out the sound of a broken one", () => {
    const progress = follow();
    progress.take([
      text("Zero. "),
      text("One two three."),
      sound([word("One", 0, 900), word("two", 1100, 2100)]),
      sound(),
    ]);
    const { samples, continuation } = breakOf(progress.read(), CHUNK);
    expect(samples).toBe(1100);
    expect(continuation).toMatchObject({
      said: "Zero. One two three.",
      rest: " two three.",
      spanStart: { text: "Zero. One".length, sample: 1100 },
      isWhole: false,
    });
  });

  it("does not say a word again of which most was sent", () => {
    const progress = follow();
    progress.take([text("One two three."), sound([word("One", 0, 1500)])]);
    expect(breakOf(progress.read(), CHUNK).continuation.rest).toBe(" two three.");
    expect(breakOf(progress.read(), 0).continuation.rest).toBe("One two three.");
  });

  it("estimates what was said where no word is timed, and has it told", () => {
    const progress = follow();
    progress.take([text("One two three.")]);
    const second = outputRateHz / CHUNK;
    progress.take(Array.from({ length: second * 10 }, () => sound()));
    const { continuation, untold } = breakOf(progress.read(), 0);
    expect(continuation.rest).toBe("");
    expect(untold.map((each) => each.word)).toEqual(["One", "two", "three"]);
  });

  it("speaks nothing again of a model that speaks by itself", () => {
    const progress = follow();
    progress.take([text("One two three."), sound(undefined, "live")]);
    const { continuation, untold } = breakOf(progress.read(), CHUNK);
    expect([continuation.rest, untold]).toEqual(["", []]);
  });
});

describe("cutChunks", () => {
  it("cuts the chunk that lies across the place, and drops those behind it", () => {
    const cut = cutChunks([sound(), sound(), sound()], 5000, 6500);
    expect(cut.map((chunk) => chunk.type === "audio" && chunk.pcm.length)).toEqual([1000, 500]);
  });
});
