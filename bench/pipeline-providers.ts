import { setTimeout as sleep } from "node:timers/promises";
import { throwIfAborted } from "../server/core/async.ts";
import { nowMs } from "./clock.ts";
import { createSpeech, type Frame, type ReplyPlan, sentencesOf, turnOf } from "./reply.ts";

/** Milliseconds between two deltas of the simulated model, and from its call to the first. */
export const DELTA_MS = 20;

/** Milliseconds from a call of the simulated voice to its first sound. */
export const FIRST_SOUND_MS = 100;

/** How many deltas a sentence comes in: small ones, as most models give, or a few words in each. */
export type Style = "small deltas" | "large deltas";

/** Deltas a sentence. */
export const deltasPerSentence: Readonly<Record<Style, number>> = {
  "small deltas": 10,
  "large deltas": 3,
};

/** What the simulated providers did for a turn. Times by `nowMs`. */
export type TurnMarks = {
  readonly calledMs: number;
  /** When each delta was there to be read, however late it was asked for. */
  readonly deltasMs: number[];
  /** When the voice was asked for each sentence. */
  readonly askedMs: number[];
  /** When the voice had each sentence's sound. */
  readonly soundMs: number[];
};

/** A model and a voice that take their time, by timers, and no CPU. */
export type SlowProviders = {
  /** The deltas of a turn's reply. Throws the signal's reason when it fires. */
  write(turn: string, signal: AbortSignal): AsyncGenerator<string>;
  /** All sound of a sentence, once the voice has thought. Throws the signal's reason. */
  speak(sentence: string, signal: AbortSignal): AsyncGenerator<Frame>;
  /** What they did, by turn; forgets it. */
  takeMarks(): Record<string, TurnMarks>;
};

/** Makes a prompt of a style from a number that no other turn has. */
export function promptOf(style: Style, number: string): string {
  return style === "large deltas" ? `0${number}` : number;
}

/** Makes the providers that all servers of the pipeline scenario share. */
export function createSlowProviders(plan: ReplyPlan): SlowProviders {
  const speech = createSpeech(plan);
  let marks: Record<string, TurnMarks> = {};
  return {
    async *write(turn, signal) {
      const mark: TurnMarks = { calledMs: nowMs(), deltasMs: [], askedMs: [], soundMs: [] };
      marks[turn] = mark;
      for (const delta of deltasOf(plan, turn)) {
        // By the clock, as a vendor's stream fills a socket: who reads late loses no more time.
        const dueMs = mark.calledMs + (mark.deltasMs.length + 1) * DELTA_MS;
        mark.deltasMs.push(await waitUntil(dueMs, signal));
        yield delta;
      }
    },
    async *speak(sentence, signal) {
      const turn = turnOf(sentence);
      const askedMs = nowMs();
      marks[turn]?.askedMs.push(askedMs);
      marks[turn]?.soundMs.push(await waitUntil(askedMs + FIRST_SOUND_MS, signal));
      yield* speech.speak(turn, signal);
    },
    takeMarks() {
      const taken = marks;
      marks = {};
      return taken;
    },
  };
}

function deltasOf(plan: ReplyPlan, turn: string): readonly string[] {
  const style: Style = turn.startsWith("0") ? "large deltas" : "small deltas";
  return sentencesOf(plan, turn).flatMap((sentence) => cut(sentence, deltasPerSentence[style]));
}

function cut(text: string, count: number): readonly string[] {
  const border = (index: number) => Math.round((index * text.length) / count);
  return Array.from({ length: count }, (_, at) => text.slice(border(at), border(at + 1)));
}

/** Waits, never too short, and answers when it was over; `dueMs` itself if that has passed. */
async function waitUntil(dueMs: number, signal: AbortSignal): Promise<number> {
  let atMs = nowMs();
  throwIfAborted(signal);
  if (atMs >= dueMs) return dueMs;
  // A timer counts from when the loop last looked at the clock: it may fire early.
  for (; atMs < dueMs; atMs = nowMs()) await wait(Math.ceil(dueMs - atMs), signal);
  return atMs;
}

async function wait(delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(delayMs, undefined, { signal });
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}
