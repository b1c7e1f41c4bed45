import type { ReplyStep } from "./scripted-language-model.ts";

/** The prompt of a turn that runs to its end, and the reply that it gets. */
export const WHOLE = {
  prompt: "Tell me.",
  reply: "Hello there! It costs $3.50, said Dr. Who. Привет, мир 😀 и все. One more, unended",
} as const;

/**
 * The prompt of a turn that pauses for ever: its two first sentences come, text and voice, and then
 * the language model waits until it is cancelled.
 */
export const PAUSED = {
  prompt: "Think about it.",
  sentences: ["One moment. ", "Let me see. "],
} as const;

/** The prompt of a turn that is too long for any client to take it whole. */
export const FLOOD = { prompt: "Never stop.", sentences: 5000 } as const;

/** What the scripted language model answers: one of the turns above, or else the prompt itself. */
export function replyTo(prompt: string): readonly ReplyStep[] {
  switch (prompt) {
    case WHOLE.prompt:
      return inPieces(WHOLE.reply);
    case PAUSED.prompt:
      return [...PAUSED.sentences, "And", new Promise(() => undefined)];
    case FLOOD.prompt:
      return Array.from({ length: FLOOD.sentences }, (_, index) => `Sentence ${index}. `);
    default:
      return [prompt];
  }
}

/** Deltas that are cut without regard to words, but for the halves of a character. */
function inPieces(text: string): readonly string[] {
  return text.match(/.{1,5}/gsu) ?? [];
}
