import { setImmediate as turnOfLoop } from "node:timers/promises";
import { throwIfAborted } from "../core/async.ts";
import type { SpeechPart, Synthesizer } from "../models/synthesizer.ts";

const sampleRateHz = 48_000;
const partSamples = sampleRateHz / 10;
const wordSamples = (sampleRateHz * 3) / 10;
const longestSamples = sampleRateHz * 10;
const fadeSamples = sampleRateHz / 20;
/** A fifth, low and soft; the sum of the two peaks at -20 dB of full scale. */
const lowHz = 196;
const highHz = 294;
const peak = 32_768 * 0.1;

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/**
 * A voice that needs nothing and cannot fail: a hum of two tones, 0.3 s a word and 10 s at most, at
 * 48 kHz in parts of 100 ms. It lets a client hear that there is a reply when nothing can speak it.
 */
export function createToneVoice(): Synthesizer {
  return { name: "tone", synthesize: (text, _voice, signal) => hum(countWords(text), signal) };
}

async function* hum(words: number, signal: AbortSignal): AsyncGenerator<SpeechPart> {
  const length = Math.min(words * wordSamples, longestSamples);
  for (let start = 0; start < length; start += partSamples) {
    throwIfAborted(signal);
    const pcm = Int16Array.from({ length: partSamples }, (_, at) => sampleAt(start + at, length));
    yield { pcm, sampleRateHz };
    // It never waits for anything, so without this no socket would get its turn before the end.
    await turnOfLoop();
  }
  throwIfAborted(signal);
}

function sampleAt(at: number, length: number): number {
  const angle = (2 * Math.PI * at) / sampleRateHz;
  const sum = Math.sin(angle * lowHz) + Math.sin(angle * highHz);
  return Math.round((sum / 2) * peak * fade(Math.min(at, length - 1 - at)));
}

/** Rises smoothly from 0 to 1, `distance` samples from either end. */
function fade(distance: number): number {
  return distance >= fadeSamples ? 1 : (1 - Math.cos((Math.PI * distance) / fadeSamples)) / 2;
}

/** Words of any script, as far as they matter; at least one. */
function countWords(text: string): number {
  let words = 0;
  for (const { isWordLike } of segmenter.segment(text)) {
    if (isWordLike) words += 1;
    if (words * wordSamples >= longestSamples) break;
  }
  return Math.max(1, words);
}
