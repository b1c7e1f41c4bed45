import { samplesPerLevel } from "./envelope.ts";

/** From one bar to the next, in CSS pixels. */
export const stridePx = 6;

/** What the wave shows. */
export type WaveSight = {
  /** Loudness every 40 ms, 0 to 1. */
  readonly levels: readonly number[];
  /** The sample that is heard now. */
  readonly sample: number;
};

/** Where bars stand. `bar` counts from the left. */
export type Place = {
  readonly offsetPx: number;
  bar(index: number): { readonly level: number; readonly heard: boolean };
};

/** The loudspeaker stands in the middle; bars slide past it to the left. */
export function sliding(sight: WaveSight | undefined, count: number): Place {
  const centre = (sight?.sample ?? 0) / samplesPerLevel;
  const first = Math.floor(centre) - Math.floor(count / 2);
  return {
    offsetPx: (centre - Math.floor(centre)) * stridePx,
    bar: (index) => ({
      level: sight?.levels[first + index] ?? 0,
      heard: first + index >= 0 && first + index < centre && sight !== undefined,
    }),
  };
}

/** All of the turn stands side by side, each bar the loudest of its share. */
export function still(sight: WaveSight | undefined, count: number): Place {
  const levels = sight?.levels ?? [];
  const share = Math.max(1, levels.length / count);
  const heard = (sight?.sample ?? 0) / samplesPerLevel;
  return {
    offsetPx: 0,
    bar: (index) => ({
      level: Math.max(
        0,
        ...levels.slice(Math.floor(index * share), Math.ceil((index + 1) * share)),
      ),
      heard: index * share < heard,
    }),
  };
}
