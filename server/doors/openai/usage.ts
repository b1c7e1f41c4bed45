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
function tokensOfSpeech({ audio }: Pick<Prompt, "audio">): number {
  return audio ? tokensOfSound((audio.pcm.length / audio.sampleRateHz) * 1000) : 0;
}

/** The usage of a response that made so much text and sound. */
export function usageOf(
  prompt: Pick<Prompt, "text" | "audio" | "history" | "instructions">,
  made: { readonly text: string; readonly ms: number },
): object {
  const earlier = (prompt.history ?? []).flatMap(({ user, assistant }) => [user, assistant]);
  const asked = [prompt.instructions ?? "", ...earlier, prompt.text].join("\n");
  const input = { text_tokens: tokensOfText(asked), audio_tokens: tokensOfSpeech(prompt) };
  const input_tokens = input.text_tokens + input.audio_tokens;
  const text_tokens = tokensOfText(made.text);
  const audio_tokens = tokensOfSound(made.ms);
  const output_tokens = text_tokens + audio_tokens;
  return {
    total_tokens: input_tokens + output_tokens,
    input_tokens,
    output_tokens,
    input_token_details: { ...input, cached_tokens: 0 },
    output_token_details: { text_tokens, audio_tokens },
  };
}
