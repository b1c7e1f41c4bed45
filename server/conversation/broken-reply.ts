import { ProviderError } from "../core/errors.ts";
import { wordsOf } from "../failover/words.ts";

/** How a reply ends that no tier could make, or not to its end. */
export type Ending = {
  /** Said in place of a reply that the model withheld. */
  readonly refusal?: string;
  /** Why only a part of the reply was made. */
  readonly partial?: Error;
};

/** How a reply ends after this error. Throws the error if there is nothing to end the reply with. */
export function endingOf(
  error: unknown,
  { hasBegun, prompt }: { readonly hasBegun: boolean; readonly prompt: string },
): Ending {
  const kind = error instanceof ProviderError ? error.kind : undefined;
  if (kind === "empty") return {};
  if (hasBegun && error instanceof Error) return { partial: error };
  if (kind === "withheld") return { refusal: refusalFor(prompt) };
  throw error;
}

/** In the prompt's script: its language is not known for certain. */
function refusalFor(prompt: string): string {
  return /\p{Script=Cyrillic}/u.test(prompt)
    ? "Извините, с этим я не могу помочь."
    : "I'm sorry, I can't help with that.";
}

/** The text up to its last whole word. A word at the very end may be the beginning of another. */
export function withoutBrokenWord(text: string): string {
  const last = wordsOf(text).at(-1);
  const isBroken = last !== undefined && last.textStart + last.word.length === text.length;
  return isBroken ? text.slice(0, last.textStart).trimEnd() : text;
}
