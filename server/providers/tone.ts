import { setImmediate as nextLoop } from "node:timers/promises";
import { throwIfAborted } from "../core/async.ts";
import type { SpeechPart, Synthesizer } from "../models/synthesizer.ts";

const sampleRateHz = 48_000;
const partSamples = sampleRateHz / 10;
const wordSamples = (sampleRateHz * 3) / 10;
const maxSamples = sampleRateHz * 10;
const fadeSamples = sampleRateHz / 20;
/** Two tones a fifth apart. Their sum peaks at -20 dBFS. */
const lowHz = 196;
const highHz = 294;
const peak = 32_768 * 0.1;

const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/**
 * A voice that needs nothing and cannot fail: a hum of 0.3 s for each word, 10 s at most, at 48 kHz in
 * parts of 100 ms. It makes a reply audible when every other voice is down.
 */
export function createToneVoice(): Synthesizer {
  return {
    name: "tone",
    isLastResort: true,
    voices: [],
    synthesize: (text, _voice, signal) => hum(countWords(text), signal),
  };
}

async function* hum(words: number, signal: AbortSignal): AsyncGenerator<SpeechPart> {
  const length = Math.min(words * wordSamples, maxSamples);
  for (let start = 0; start < length; start += partSamples) {
    throwIfAborted(signal);
    const pcm = Int16Array.from({ length: partSamples }, (_, at) => sampleAt(start + at, length));
    yield { pcm, sampleRateHz };
    // Nothing else here waits: without this the sockets would starve until the end.
    await nextLoop();
  }
  throwIfAborted(signal);
}

function sampleAt(at: number, length: number): number {
  const angle = (2 * Math.PI * at) / sampleRateHz;
  const sum = Math.sin(angle * lowHz) + Math.sin(angle * highHz);
  return Math.round((sum / 2) * peak * fade(Math.min(at, length - 1 - at)));
}

/** Rises from 0 to 1 with the distance from either end, in samples. */
function fade(distance: number): number {
  return distance >= fadeSamples ? 1 : (1 - Math.cos((Math.PI * distance) / fadeSamples)) / 2;
}

/** Counts the words of any script, from 1 up to the maximum length. */
function countWords(text: string): number {
  let words = 0;
  for (const { isWordLike } of segmenter.segment(text)) {
    if (isWordLike) words += 1;
    if (words * wordSamples >= maxSamples) break;
  }
  return Math.max(1, words);
}
