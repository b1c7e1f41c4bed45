/**
 * What the page tells of itself to tests and scripts: attributes of `<main id="turn">`, read-only.
 * Times are in milliseconds; those that end in `At` count from the page's start. All are of the
 * turn that was sent last.
 */
export type Surface = {
  readonly state: State;
  /** From sending to the first text and to the first audio that arrived. Empty until then. */
  readonly ttft: number | "";
  readonly ttfa: number | "";
  /** From sending to the first sound that was heard. */
  readonly firstSound: number | "";
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

/**
 * What is going on, by what can be heard.
 * - `connecting`: sent, no answer yet. `writing`: words come, no sound yet.
 * - `speaking`: the voice sounds. `buffering`: it waits for more. `paused`: by the user.
 * - `muted`: it plays, at no volume. `held`: the browser holds it back. `text`: words come alone.
 * - `idle`, `interrupted` (by someone else) and `error`: nothing goes on.
 */
export type State =
  | "idle"
  | "connecting"
  | "writing"
  | "speaking"
  | "buffering"
  | "paused"
  | "muted"
  | "held"
  | "text"
  | "interrupted"
  | "error";

const ended: ReadonlySet<State> = new Set(["idle", "interrupted", "error"]);

/** Whether something goes on that can be stopped. */
export function isBusy(state: State): boolean {
  return !ended.has(state);
}

/** Whether a voice is in the room: typing or talking over it stops it. */
export function isSounding(state: State): boolean {
  return state === "speaking" || state === "buffering";
}

/** What a new turn starts from. */
export const freshTurn: Omit<Surface, "turns" | "stoppedAt" | "silentAt"> = {
  state: "connecting",
  ttft: "",
  ttfa: "",
  firstSound: "",
  underruns: 0,
  bytes: 0,
  receivedSamples: 0,
  playedSamples: 0,
  words: 0,
  wordsHeard: 0,
};
