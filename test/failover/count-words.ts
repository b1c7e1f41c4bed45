import { expect } from "vitest";
import { wordsOf } from "../../server/failover/words.ts";
import { toneOnsets } from "../support/tone-onsets.ts";
import type { Transcript } from "./transcript.ts";

/** Samples a second of what a client hears. */
const rateHz = 48_000;

/**
 * How far the beginning of a tone may lie from where its word is said to begin. An MP3 decoder's
 * filter delays sound by less than a frame of 24 ms, and a tone is looked for in steps of 6 ms.
 */
const slackSeconds = 0.03;

/** Expects that the turn ran to its end, with exactly this text. */
export function expectWhole(heard: Transcript, text: string): void {
  const { status, errorMessage, end } = heard;
  expect({ status, errorMessage, end, text: heard.text }).toEqual({
    status: undefined,
    errorMessage: undefined,
    end: "done",
    text,
  });
}

/**
 * Expects that each word of the text was told of once, in order, at a time of its own inside the
 * audio.
 */
export function expectWordsOnce({ words, pcm }: Transcript, text: string): void {
  expect(words.map(({ word }) => word)).toEqual(wordsOf(text).map(({ word }) => word));
  let before = 0;
  for (const { word, startSample, endSample } of words) {
    expect(startSample, `${word} begins behind the word before it`).toBeGreaterThanOrEqual(before);
    expect(endSample, `${word} takes time`).toBeGreaterThan(startSample);
    before = endSample;
  }
  expect(before, "the last word ends inside the audio").toBeLessThanOrEqual(pcm.length);
}

/** Expects a tone for each word, no more, each where its word is said to begin. */
export function expectTonesOnce(heard: Transcript, text: string): void {
  const onsets = onsetsOf(heard);
  expect(onsets).toHaveLength(wordsOf(text).length);
  for (const [at, { word, startSample }] of heard.words.entries()) {
    const offSeconds = Math.abs((onsets[at] ?? Number.NaN) - startSample / rateHz);
    expect(offSeconds, `the tone of ${word}`).toBeLessThan(slackSeconds);
  }
}

/** Seconds at which the tones of an emulated voice begin. */
export function onsetsOf({ pcm }: Transcript): readonly number[] {
  return toneOnsets([{ pcm, sampleRateHz: rateHz }]);
}
