/** The name under which the audio thread knows the ring. */
export const ringName = "parley-ring";

/** Samples a second, everywhere on the page. */
export const sampleRateHz = 48_000;

/** What the page tells the ring. `turn` counts up from 1; audio of a turn not open is dropped. */
export type ToRing =
  | { readonly type: "open"; readonly turn: number }
  | { readonly type: "audio"; readonly turn: number; readonly pcm: Int16Array }
  | { readonly type: "end"; readonly turn: number }
  | { readonly type: "stop" };

/**
 * What the ring tells the page.
 * - `position`: about every 20 ms while a turn is open, and at once when it has been played whole.
 * - `silent`: after a `stop`, as soon as the voice has died away.
 */
export type FromRing =
  | {
      readonly type: "position";
      readonly turn: number;
      readonly playedSamples: number;
      readonly underruns: number;
      readonly drained: boolean;
    }
  | { readonly type: "silent" };
