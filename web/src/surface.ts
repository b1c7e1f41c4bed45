/**
 * What the page tells of itself to tests and scripts: attributes of `<main id="turn">`, read-only.
 * Times are in milliseconds; those that end in `At` count from the page's start. All are of the
 * turn that was sent last.
 */
export type Surface = {
  /** `connecting`: sent, no answer yet. `speaking`: the reply is coming in or being heard. */
  readonly state: "idle" | "connecting" | "speaking" | "error";
  /** From sending to the first text and to the first audio. Empty until then. */
  readonly ttft: number | "";
  readonly ttfa: number | "";
  /** How often the voice ran dry. */
  readonly underruns: number;
  /** Text (as UTF-8) and PCM received. */
  readonly bytes: number;
  readonly receivedSamples: number;
  readonly playedSamples: number;
  readonly words: number;
  readonly wordsHeard: number;
  /** When the user asked for silence, and when the audio thread reported it. Empty until then. */
  readonly stoppedAt: number | "";
  readonly silentAt: number | "";
  /** How many turns have been sent. */
  readonly turns: number;
};

/** What a new turn starts from. */
export const freshTurn: Omit<Surface, "turns" | "stoppedAt" | "silentAt"> = {
  state: "connecting",
  ttft: "",
  ttfa: "",
  underruns: 0,
  bytes: 0,
  receivedSamples: 0,
  playedSamples: 0,
  words: 0,
  wordsHeard: 0,
};
