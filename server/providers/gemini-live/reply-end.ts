import type { LiveContent } from "../gemini/live-messages.ts";
import type { ReplyReader } from "./messages.ts";

/** What the connections of one model have learnt of its service. */
type LiveHabits = {
  /** Whether a completed turn tells if more follows. Undefined before the first one. */
  tellsStatus?: boolean;
};

/** How the end of a reply is told. */
export type EndRules = {
  readonly habits: LiveHabits;
  /** How long words, or an answer after a filler, may arrive after the model has finished. */
  readonly trailingMs: number;
};

/** How long the end of the last words may arrive after the model has finished. */
const lastWordsMs = 250;
/**
 * A filler ("Let me see.") has at most this much sound. Whether an answer follows is known when the
 * service completes the turn, as soon as the sound would have been played.
 */
const longestFillerMs = 5_000;

/** Knows how long to wait for the next message of a reply. */
export function createEndWait({ habits, trailingMs }: EndRules, reader: ReplyReader) {
  const begunMs = performance.now();
  let firstSoundMs: number | undefined;
  /** When the model had finished, unless it goes on. */
  let finishedMs: number | undefined;
  let isComplete = false;
  /** When the sound would have been played, and the service completes the turn. */
  const playedMs = () => (firstSoundMs ?? begunMs) + reader.soundMs();
  const mayThink = () =>
    !isComplete && habits.tellsStatus !== false && reader.soundMs() <= longestFillerMs;
  return {
    hasFinished: () => finishedMs !== undefined,
    see({ generationComplete, turnComplete, interactionStatus }: LiveContent) {
      if (reader.soundMs() > 0) firstSoundMs ??= performance.now();
      if (turnComplete && interactionStatus === "IN_PROGRESS") {
        finishedMs = undefined;
        return;
      }
      isComplete ||= turnComplete === true;
      if (generationComplete || turnComplete) finishedMs ??= performance.now();
    },
    /** Undefined: as long as it takes. 0: the reply is whole. */
    waitMs(): number | undefined {
      if (finishedMs === undefined) return undefined;
      const latestMs = finishedMs + trailingMs;
      const untilMs = Math.max(
        isComplete ? 0 : finishedMs + lastWordsMs,
        mayThink() ? playedMs() + lastWordsMs : 0,
        reader.lacksWords() ? latestMs : 0,
      );
      return Math.max(0, Math.min(untilMs, latestMs) - performance.now());
    },
  };
}
