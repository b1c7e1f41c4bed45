import { abortable, onAbort, throwIfAborted } from "../../server/core/async.ts";
import type { LanguageModel, Prompt } from "../../server/models/language-model.ts";

/** A step of a scripted reply: a delta, an error to throw, or a wait for something to happen. */
export type ReplyStep = string | Error | Promise<unknown>;

/** What a scripted language model has seen. */
export type ScriptedLanguageModel = LanguageModel & {
  /** Prompts in the order in which they came. */
  readonly prompts: Prompt[];
  /** How many calls were stopped by their signal. */
  readonly cancels: () => number;
};

/** A text tier that plays a script: the same for every prompt, or made from the prompt. */
export function createScriptedLanguageModel(
  script: readonly ReplyStep[] | ((prompt: Prompt) => readonly ReplyStep[]),
  name = "scripted",
): ScriptedLanguageModel {
  const prompts: Prompt[] = [];
  let cancels = 0;
  return {
    name,
    prompts,
    cancels: () => cancels,
    async *generate(prompt, signal) {
      prompts.push(prompt);
      const forget = onAbort(signal, () => {
        cancels += 1;
      });
      try {
        for (const step of typeof script === "function" ? script(prompt) : script) {
          throwIfAborted(signal);
          if (step instanceof Error) throw step;
          if (step instanceof Promise) await abortable(step, signal);
          else yield { type: "text", text: step };
        }
      } finally {
        forget();
      }
    },
  };
}
