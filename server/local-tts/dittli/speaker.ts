import { availableParallelism } from "node:os";
import { openLexicon } from "../english/lexicon.ts";
import { createPronouncer } from "../english/pronounce.ts";
import { shapeSound } from "../worker/sound.ts";
import type { Speaker } from "../worker/worker-main.ts";
import { loadModel } from "./model.ts";
import { createModelInput } from "./model-input.ts";

/** A second core makes a clause a third faster; more would gain nothing on so small a model. */
const threads = Math.min(2, availableParallelism());

/** Brings the model's speech to about -20 dBFS RMS. */
const gain = 0.9;

/**
 * Loads the voice and speaks once, so that the first clause is as fast as the others. Its model is
 * kept in `cacheFolder`, ready to be loaded faster.
 */
export async function createSpeaker(cacheFolder: string): Promise<Speaker> {
  const lexicon = await openLexicon();
  const { symbols, tone_offset: toneOffset, language_id: language } = lexicon.metadata;
  const pronounce = createPronouncer(lexicon);
  const toInput = createModelInput({ symbols, toneOffset, language });
  const model = await loadModel(lexicon.model, { folder: cacheFolder, threads });
  const sampleRateHz = lexicon.metadata.sample_rate;
  const speak = async (text: string, pauseMs: number) => {
    const samples = await model.run(toInput(pronounce(text)));
    return shapeSound(samples, { sampleRateHz, pauseMs, gain });
  };
  await speak("a", 0);
  return { sampleRateHz, speak };
}
