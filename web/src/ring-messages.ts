/** The name under which the audio thread knows the ring. */
export const ringName = "parley-ring";

/** Samples a second, everywhere on the page. */
export const sampleRateHz = 48_000;

/** What the page tells the ring. `run` counts up from 1; audio of a run not open is dropped. */
export type ToRing =
  | { readonly type: "open"; readonly run: number }
  | { readonly type: "audio"; readonly run: number; readonly pcm: Int16Array }
  | { readonly type: "end"; readonly run: number }
  | { readonly type: "stop" };

/**
 * What the ring tells the page.
 * - `position`: about every 20 ms while a run is open, and at once when it has been played whole.
 * - `silent`: after a `stop`, as soon as the voice has died away.
 */
export type FromRing =
  | {
      readonly type: "position";
      readonly run: number;
      readonly playedSamples: number;
      readonly underruns: number;
      readonly drained: boolean;
      /** True while it waits for sound in the middle of the run. */
      readonly buffering: boolean;
      /** When the run's first sample was put out, by the context's clock, in seconds. */
      readonly startedAt: number | undefined;
    }
  | { readonly type: "silent" };
