import type { EmulatorScript } from "../../emulators/script.ts";
import type { ReplyPart } from "../../server/models/language-model.ts";
import type { Call } from "./suite-calls.ts";

/** A language model as the suite handles it. */
export type PlayedLanguageModel = {
  play(script: EmulatorScript): void;
  /** Asks it; only the script matters. */
  readonly ask: Call<ReplyPart>;
  /** Requests in progress at the provider. */
  active(): number;
  /** Waits until there are none. */
  idle(): Promise<number>;
};

/** What is asked; no error may repeat it. */
export const secretWords = "Tell me the hidden thing";

/** A reply. Its first word is one that no error bears by chance. */
export const deltas = ["Quietly", ", the", " answer\n", "is ", "42."];

/** A reply in many scripts, cut where models cut: never inside a character. */
export const unicode = [
  "👩‍👩‍👧 ",
  "日本",
  "語。",
  "e\u0301",
  " שלום ",
  "نعم",
  " Привет",
  " a\u200db ",
  "𝒳",
];

/** The words of a reply, joined as they stand. */
export function wordsOf(parts: readonly ReplyPart[]): string {
  return parts.map((part) => (part.type === "audio" ? "" : part.text)).join("");
}

/** A signal that does not fire. */
export function never(): AbortSignal {
  return new AbortController().signal;
}
