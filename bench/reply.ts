import { onAbort, throwIfAborted } from "../server/core/async.ts";
import { nowMs } from "./clock.ts";

/** Samples a second of all audio in the bench. */
export const SAMPLE_RATE_HZ = 48_000;

/** What both servers answer to every prompt. */
export type ReplyPlan = {
  readonly sentences: number;
  readonly framesPerSentence: number;
  readonly frameMs: number;
  /** True if a frame comes when its time in the recording has come; false if as fast as can be. */
  readonly paced: boolean;
};

/** A piece of the voice. */
export type Frame = { readonly pcm: Int16Array<ArrayBuffer>; readonly sampleRateHz: number };

/** The voice of both servers. */
export type BenchSpeech = {
  /** The frames of one sentence, as the gateway's voices give them. Throws the signal's reason when it fires. */
  speak(turn: string, signal: AbortSignal): AsyncGenerator<Frame>;
  /** When the signal of each turn that was cut short while it spoke fired; forgets them. */
  takeCancels(): Record<string, number>;
};

/**
 * The sentences of a turn's reply, which bear the turn's number. They are short, so that the
 * gateway leaves each in one piece, and end in a letter, so that none is taken for a list's number.
 */
export function sentencesOf(plan: ReplyPlan, turn: string): readonly string[] {
  const one = (_: unknown, index: number) => `Turn ${turn} says sentence ${index + 1} aloud. `;
  return Array.from({ length: plan.sentences }, one);
}

/** The turn of which a sentence is a part. */
export function turnOf(sentence: string): string {
  return /\d+/.exec(sentence)?.[0] ?? "";
}

/** Makes the voice. Its frames are slices of one recording that is made beforehand. */
export function createSpeech(plan: ReplyPlan): BenchSpeech {
  const samplesPerFrame = (SAMPLE_RATE_HZ * plan.frameMs) / 1000;
  const recording = record(samplesPerFrame * plan.framesPerSentence);
  let cancels: Record<string, number> = {};
  return {
    async *speak(turn, signal) {
      const forget = onAbort(signal, () => {
        cancels[turn] = nowMs();
      });
      const begunMs = nowMs();
      try {
        for (let frame = 0; frame < plan.framesPerSentence; frame++) {
          if (plan.paced) await waitUntil(begunMs + frame * plan.frameMs, signal);
          throwIfAborted(signal);
          const [from, to] = [frame * samplesPerFrame, (frame + 1) * samplesPerFrame];
          yield { pcm: recording.subarray(from, to), sampleRateHz: SAMPLE_RATE_HZ };
        }
      } finally {
        forget();
      }
    },
    takeCancels() {
      const taken = cancels;
      cancels = {};
      return taken;
    },
  };
}

/** A gliding tone: no frame is like another. */
function record(samples: number): Int16Array<ArrayBuffer> {
  return Int16Array.from({ length: samples }, (_, at) => 8000 * Math.sin(at / 20 + at * at * 1e-9));
}

async function waitUntil(dueMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, dueMs - nowMs());
  const forget = onAbort(signal, () => resolve());
  await promise;
  clearTimeout(timer);
  forget();
}
