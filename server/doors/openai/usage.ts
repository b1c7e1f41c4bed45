import type { Prompt } from "../../models/language-model.ts";

/** Characters of a token, about, in the languages of Latin script. */
const CHARACTERS_A_TOKEN = 4;
/** OpenAI counts a token for each 50 ms of sound that it makes. */
const MS_A_TOKEN = 50;

/** About how many tokens a text has. The tiers do not say: their vendors count differently. */
export function tokensOfText(text: string): number {
  return Math.ceil(text.length / CHARACTERS_A_TOKEN);
}

/** About how many tokens OpenAI would count for so much sound. */
export function tokensOfSound(ms: number): number {
  return Math.ceil(ms / MS_A_TOKEN);
}

/** About how many tokens OpenAI would count for what the user said. */
export function tokensOfSpeech({ audio }: Pick<Prompt, "audio">): number {
  return audio ? tokensOfSound((audio.pcm.length / audio.sampleRateHz) * 1000) : 0;
}
