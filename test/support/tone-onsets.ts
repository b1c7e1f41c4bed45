import type { SpeechPart } from "../../server/models/synthesizer.ts";

/** Loudness is measured in steps of this length. */
const stepSeconds = 0.006;
const loud = 500;

/** The times, in seconds, at which tones begin: one for each word of an emulated service. */
export function toneOnsets(parts: readonly SpeechPart[]): readonly number[] {
  const rateHz = parts[0]?.sampleRateHz ?? 1;
  const step = Math.round(rateHz * stepSeconds);
  const pcm = parts.flatMap((part) => Array.from(part.pcm));
  const isLoud = Array.from({ length: Math.floor(pcm.length / step) }, (_, at) => {
    const squares = pcm.slice(at * step, (at + 1) * step).reduce((sum, s) => sum + s * s, 0);
    return Math.sqrt(squares / step) > loud;
  });
  return isLoud.flatMap((is, at) => (is && !isLoud[at - 1] ? [(at * step) / rateHz] : []));
}
