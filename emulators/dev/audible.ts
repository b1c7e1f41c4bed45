import type { LanguageModel, ReplyPart } from "../../server/models/language-model.ts";
import { SAMPLES_A_LETTER } from "../gemini-live-wire.ts";

/** Samples that a letter is heard for: 50 ms at 24 kHz, about a word in a third of a second. */
const samplesALetter = 1200;
const lowestHz = 220;
const stepHz = 20;
const peak = 6000;

/**
 * The emulated Live voice spells its words in samples too small and too short to be heard. This
 * plays each letter as a tone instead, and keeps spaces silent.
 */
export function audible(languageModel: LanguageModel): LanguageModel {
  return {
    ...languageModel,
    async *generate(prompt, signal) {
      for await (const part of languageModel.generate(prompt, signal)) {
        yield part.type === "audio" ? play(part) : part;
      }
    },
  };
}

function play(part: Extract<ReplyPart, { type: "audio" }>): ReplyPart {
  const letters = Math.ceil(part.pcm.length / SAMPLES_A_LETTER);
  const pcm = Int16Array.from({ length: letters * samplesALetter }, (_, at) => {
    const code = part.pcm[Math.floor(at / samplesALetter) * SAMPLES_A_LETTER] ?? 0;
    return sampleAt(code, at % samplesALetter, part.sampleRateHz);
  });
  return { ...part, pcm };
}

/** A tone that rises and falls within its letter, so that nothing clicks. */
function sampleAt(code: number, at: number, rateHz: number): number {
  if (code <= " ".charCodeAt(0)) return 0;
  const hz = lowestHz + stepHz * (code % 32);
  const fade = Math.sin((Math.PI * at) / samplesALetter);
  return Math.round(peak * fade * Math.sin((2 * Math.PI * hz * at) / rateHz));
}
