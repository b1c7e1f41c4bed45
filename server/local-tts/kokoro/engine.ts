import { availableParallelism } from "node:os";
import { openLexicon } from "../english/lexicon.ts";
import { createTokenPronouncer, type PronouncedToken } from "../english/pronounce.ts";
import { optimizeModel } from "../worker/model-optimizer.ts";
import { type Feed, type ModelSession, openModelSession } from "../worker/model-session.ts";
import { shapeAudio } from "../worker/sound.ts";
import type { SpeechEngine } from "../worker/worker-main.ts";
import { type KokoroChoice, readKokoroFiles } from "./files.ts";
import { toKokoroPhonemes } from "./phonemes.ts";

const sampleRateHz = 24_000;
/** A second core nearly halves the time. The other cores are for the gateway. */
const threads = Math.min(2, availableParallelism());

/**
 * Reads and verifies the files, loads the model and runs it once, so that the first clause is as fast
 * as the others. Throws `WorkerMisconfigured` if the files are missing or wrong.
 */
export async function loadKokoroEngine(choice: KokoroChoice): Promise<SpeechEngine> {
  const { model, ...voice } = await readKokoroFiles(choice);
  const pronounce = createTokenPronouncer(await openLexicon());
  const engine = createKokoroEngine({ session: await openModel(model), pronounce, ...voice });
  await engine.speak("a.", 0);
  return engine;
}

/** The loaded parts of the engine. */
export type KokoroEngineParts = {
  readonly session: Pick<ModelSession, "run">;
  readonly pronounce: (text: string) => readonly PronouncedToken[];
  /** The voice: 510 rows of 256 numbers. */
  readonly styles: Float32Array;
  /** Brings the voice to about -20 dBFS RMS. */
  readonly gain: number;
};

/** Creates the engine. A clause that is too long for one run of the model takes several. */
export function createKokoroEngine({
  session,
  pronounce,
  styles,
  gain,
}: KokoroEngineParts): SpeechEngine {
  return {
    sampleRateHz,
    async speak(text, pauseMs) {
      const runs = splitIds(toIds(toKokoroPhonemes(pronounce(text))));
      const pieces: Int16Array[] = [];
      for (const [at, ids] of runs.entries()) {
        const samples = await session.run(feedsOf(ids, styles), "waveform");
        const isLast = at === runs.length - 1;
        pieces.push(shapeAudio(samples, { sampleRateHz, gain, pauseMs: isLast ? pauseMs : 0 }));
      }
      return joined(pieces);
    },
  };
}

/** Loads the model from its file's bytes, and frees them. */
async function openModel(model: Uint8Array): Promise<ModelSession> {
  const optimized = optimizeModel(model);
  free(model);
  const session = await openModelSession(optimized, { threads, optimization: "all" });
  free(optimized);
  return session;
}

/** Otherwise half a gigabyte would stay until the garbage collector runs. */
function free({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Concatenates the pieces. Never empty, even if nothing was pronounceable. */
function joined(pieces: readonly Int16Array[]): Int16Array {
  const [only] = pieces;
  if (only && pieces.length === 1) return only;
  return Int16Array.from([...pieces.flatMap((piece) => Array.from(piece)), 0]);
}

/** Kokoro's ids of the symbols that English needs. */
const idOf: { readonly [symbol: string]: number | undefined } = {
  ",": 3,
  ".": 4,
  "!": 5,
  "?": 6,
  " ": 16,
  A: 24,
  I: 25,
  O: 31,
  T: 36,
  W: 39,
  Y: 41,
  ᵊ: 42,
  b: 44,
  d: 46,
  f: 48,
  h: 50,
  i: 51,
  j: 52,
  k: 53,
  l: 54,
  m: 55,
  n: 56,
  p: 58,
  s: 61,
  t: 62,
  u: 63,
  v: 64,
  w: 65,
  z: 68,
  ɑ: 69,
  ɐ: 70,
  æ: 72,
  ɔ: 76,
  ð: 81,
  ʤ: 82,
  ə: 83,
  ɛ: 86,
  ɜ: 87,
  ɡ: 92,
  ɪ: 102,
  ŋ: 112,
  θ: 119,
  ɹ: 123,
  ʃ: 131,
  ʧ: 133,
  ʊ: 135,
  ʌ: 138,
  ʒ: 147,
  ˈ: 156,
  ˌ: 157,
};
const space = 16;
/** Padding before and after the phonemes. */
const edge = 0n;

/** Maximum number of symbols in a run. */
const maxIds = 510;
/** A voice has a row of this many numbers for each number of symbols, from 0 to 509. */
const styleWidth = 256;
const lastRow = 509;

/** The ids of phonemes in Kokoro's notation. Leaves out unknown symbols. */
export function toIds(phonemes: string): readonly number[] {
  return Array.from(phonemes).flatMap((symbol) => idOf[symbol] ?? []);
}

/** Splits ids into runs of at most 510, between words if possible. Loses only spaces. */
export function splitIds(ids: readonly number[]): readonly (readonly number[])[] {
  if (ids.length <= maxIds) return ids.length > 0 ? [ids] : [];
  const boundary = ids.lastIndexOf(space, maxIds);
  const at = boundary > 0 ? boundary : maxIds;
  return [ids.slice(0, at), ...splitIds(ids.slice(boundary > 0 ? at + 1 : at))];
}

/** The model's inputs for one run of 1 to 510 ids. */
export function feedsOf(
  ids: readonly number[],
  styles: Float32Array,
): { readonly [name: string]: Feed } {
  const row = Math.min(ids.length, lastRow) * styleWidth;
  return {
    input_ids: {
      values: BigInt64Array.from([edge, ...ids.map(BigInt), edge]),
      shape: [1, ids.length + 2],
    },
    style: { values: styles.slice(row, row + styleWidth), shape: [1, styleWidth] },
    speed: { values: Float32Array.of(1), shape: [1] },
  };
}
