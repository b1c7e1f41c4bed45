import type { Reply } from "./texts.ts";

/** The sound of a unit: silence, a tone of its own pitch, silence. */
const rateHz = 48_000;
const pauseSamples = 480;
const amplitude = 8000;
/** Silence, at any gain that a gateway may apply. */
const silent = 300;

const pitchOf = (index: number) => 400 + 60 * index;

/** Samples of a unit's tone if the unit takes so many seconds. */
function toneSamples(seconds: number): number {
  return Math.round(seconds * rateHz) - 2 * pauseSamples;
}

/** A unit as a fuzzed voice speaks it in so many seconds. */
export function soundOf(index: number, seconds: number): Int16Array {
  const length = toneSamples(seconds);
  const sound = new Int16Array(length + 2 * pauseSamples);
  const step = (2 * Math.PI * pitchOf(index)) / rateHz;
  for (let at = 0; at < length; at++) {
    sound[pauseSamples + at] = amplitude * Math.sin(step * at);
  }
  return sound;
}

/** The units that were heard, in order; a beginning or an end of one counts as a fragment. */
export type Heard = { readonly index: number; readonly isWhole: boolean };

/** Reads the units from the sound. */
export function readTones(pcm: Int16Array, { units, secondsOf }: Reply): readonly Heard[] {
  const heard: Heard[] = [];
  for (const [from, to] of soundsOf(pcm)) {
    const index = Math.round((pitch(pcm.subarray(from, to)) - 400) / 60);
    const unit = units[index];
    if (unit === undefined) throw new Error(`a sound of no unit at sample ${from}`);
    if (to - from < 0.01 * rateHz) continue;
    heard.push({ index, isWhole: to - from > 0.75 * toneSamples(secondsOf(unit)) });
  }
  return heard;
}

/** Where sound begins and ends, with at least 4 ms of silence between two sounds. */
function soundsOf(pcm: Int16Array): readonly (readonly [number, number])[] {
  const sounds: [number, number][] = [];
  for (let at = 0; at < pcm.length; at++) {
    if (Math.abs(pcm[at] ?? 0) < silent) continue;
    const last = sounds.at(-1);
    if (last && at - last[1] < 0.004 * rateHz) last[1] = at + 1;
    else sounds.push([at, at + 1]);
  }
  return sounds.filter(([from, to]) => to - from > 0.005 * rateHz);
}

/** Hz, by upward crossings of zero between the first and the last. */
function pitch(pcm: Int16Array): number {
  let first = -1;
  let last = -1;
  let crossings = 0;
  for (let at = 1; at < pcm.length; at++) {
    const [before = 0, now = 0] = [pcm[at - 1], pcm[at]];
    if (before >= 0 || now < 0) continue;
    const place = at - now / (now - before);
    if (first < 0) first = place;
    else crossings += 1;
    last = place;
  }
  return crossings > 0 ? (crossings * rateHz) / (last - first) : 0;
}
