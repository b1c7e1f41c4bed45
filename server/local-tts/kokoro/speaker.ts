import { availableParallelism } from "node:os";
import { openLexicon } from "../english/lexicon.ts";
import { createTokenPronouncer, type SpokenToken } from "../english/pronounce.ts";
import { optimizeModel } from "../worker/model-optimizer.ts";
import { type ModelSession, openModelSession } from "../worker/model-session.ts";
import { shapeSound } from "../worker/sound.ts";
import type { Speaker } from "../worker/worker-main.ts";
import { type KokoroChoice, readKokoroFiles } from "./files.ts";
import { cutIds, feedsOf, toIds } from "./model-input.ts";
import { toKokoroPhonemes } from "./phonemes.ts";

const sampleRateHz = 24_000;
/** A second core nearly halves the time; further ones would be taken from the gateway's turns. */
const threads = Math.min(2, availableParallelism());

/**
 * Reads and verifies the files, loads the model and speaks once, so that the first clause is as fast
 * as the others. Throws `WorkerMisconfigured` if the files are not there or not the right ones.
 */
export async function createSpeaker(choice: KokoroChoice): Promise<Speaker> {
  const { model, ...voice } = await readKokoroFiles(choice);
  const pronounce = createTokenPronouncer(await openLexicon());
  const speaker = createSpeakerOver({ session: await openModel(model), pronounce, ...voice });
  await speaker.speak("a.", 0);
  return speaker;
}

/** What Kokoro is made of, once it is loaded. */
export type SpeakerParts = {
  readonly session: Pick<ModelSession, "run">;
  readonly pronounce: (text: string) => readonly SpokenToken[];
  /** The voice: 510 rows of 256 numbers. */
  readonly styles: Float32Array;
  /** What brings the voice to about -20 dBFS RMS. */
  readonly gain: number;
};

/** Puts the speaker together. A clause that is too long for one run of the model is spoken in several. */
export function createSpeakerOver({ session, pronounce, styles, gain }: SpeakerParts): Speaker {
  return {
    sampleRateHz,
    async speak(text, pauseMs) {
      const runs = cutIds(toIds(toKokoroPhonemes(pronounce(text))));
      const pieces: Int16Array[] = [];
      for (const [at, ids] of runs.entries()) {
        const samples = await session.run(feedsOf(ids, styles), "waveform");
        const isLast = at === runs.length - 1;
        pieces.push(shapeSound(samples, { sampleRateHz, gain, pauseMs: isLast ? pauseMs : 0 }));
      }
      return joined(pieces);
    },
  };
}

/** Loads the model from its file's bytes, which are gone then. */
async function openModel(model: Uint8Array): Promise<ModelSession> {
  const light = optimizeModel(model);
  free(model);
  const session = await openModelSession(light, { threads, rewrite: "all" });
  free(light);
  return session;
}

/** Half a gigabyte would else stay until memory is short. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** One piece of sound. Never empty, though nothing may have been pronounceable. */
function joined(pieces: readonly Int16Array[]): Int16Array {
  const [only] = pieces;
  if (only && pieces.length === 1) return only;
  return Int16Array.from([...pieces.flatMap((piece) => Array.from(piece)), 0]);
}
