import { availableParallelism } from "node:os";
import { lightenModel } from "../booth/light-model.ts";
import { loadModel } from "./model.ts";
import { createModelInput } from "./model-input.ts";
import { openPack } from "../english/pack.ts";
import { createPronouncer } from "../english/pronounce.ts";
import { shapeSound } from "../booth/sound.ts";

/** Turns written-out clauses into sound. Occupies its thread while it speaks. */
export type Speaker = {
  readonly sampleRateHz: number;
  /** `text` as `writeOut` makes it. The answer ends with `pauseMs` of silence. */
  speak(text: string, pauseMs: number): Promise<Int16Array>;
};

/** A second core makes a clause a third faster; more would gain nothing on so small a model. */
const threads = Math.min(2, availableParallelism());

/** Loads the voice and speaks once, so that the first clause is as fast as the others. */
export async function createSpeaker(): Promise<Speaker> {
  const pack = await openPack();
  const { symbols, tone_offset: toneOffset, language_id: language } = pack.metadata;
  const pronounce = createPronouncer(pack);
  const toInput = createModelInput({ symbols, toneOffset, language });
  const model = await loadModel(lightenModel(pack.model), threads);
  const sampleRateHz = pack.metadata.sample_rate;
  const speak = async (text: string, pauseMs: number) => {
    const samples = await model.run(toInput(pronounce(text)));
    return shapeSound(samples, { sampleRateHz, pauseMs });
  };
  await speak("a", 0);
  return { sampleRateHz, speak };
}
