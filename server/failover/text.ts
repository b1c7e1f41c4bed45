import type { CallFacts } from "../core/outcomes.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../models/language-model.ts";
import { runTiers, type Source, type TierListener, type TierRun } from "./tiers.ts";

/** A part of a reply, and who made it. */
export type TierPart = {
  readonly source: Source | undefined;
  readonly part: Exclude<ReplyPart, { readonly type: "heard" }>;
};

/** The language tiers, and what a run of them needs besides. */
export type TextRun = TierListener &
  Pick<TierRun<LanguageModel, ReplyPart, TierPart>, "tiers" | "callsNext" | "time"> & {
    /** Called with what a model has heard of the prompt's sound so far, whenever that is more. */
    readonly onHeard?: ((words: string) => void) | undefined;
    /** What was said before: the reply continues from there. Nothing if absent. */
    readonly said?: string;
  };

/**
 * One reply by the tiers. If a language model fails midway, the next gets what was said as its prefix
 * and continues from there; a tier that can only begin a reply is not asked for that. Of a prompt that
 * came as sound a tier that does not hear gets the words that another one heard, and is not asked
 * before there are any.
 */
export function generateReply(
  chain: TextRun,
  prompt: Prompt,
  signal: AbortSignal,
): AsyncGenerator<readonly TierPart[]> {
  let { said = "" } = chain;
  const hearing = createHearing(prompt);
  const open = (
    languageModel: LanguageModel,
    callSignal: AbortSignal,
    source: Source,
    traceparent?: string,
  ) => {
    let hasBegun = false;
    let facts: CallFacts | undefined;
    let audioSeconds = 0;
    const saidBefore = said.length;
    const asked = {
      ...hearing.promptFor(languageModel),
      ...(said !== "" && { prefix: said }),
      ...(traceparent !== undefined && { traceparent }),
      onFacts(told: CallFacts) {
        facts = { ...facts, ...told };
      },
    };
    const hear = hearing.open((words) => chain.onHeard?.(words));
    return {
      parts: languageModel.generate(asked, callSignal),
      push(part: ReplyPart) {
        if (part.type === "heard") {
          hear(part.text);
          return [];
        }
        hasBegun = true;
        if (part.type === "audio") audioSeconds += part.pcm.length / part.sampleRateHz;
        else said += part.text;
        return [{ source, part }];
      },
      end: () => [],
      fail: () => [],
      hasBegun: () => hasBegun,
      usage: () => ({
        characters: said.length - saidBefore,
        audioSeconds,
        ...(facts && { facts }),
      }),
    };
  };
  return runTiers<LanguageModel, ReplyPart, TierPart>(
    {
      ...chain,
      kind: "text",
      open,
      canOpen: (model) => (said === "" || !model.startsOnly) && hearing.canAsk(model),
      mayAddNothing: () => said !== "",
    },
    signal,
  );
}

/** What models hear of a prompt that came as sound. */
function createHearing(prompt: Prompt) {
  const { audio, ...written } = prompt;
  let heard = "";
  const needsWords = ({ hears }: LanguageModel) => audio !== undefined && !hears;
  return {
    canAsk: (model: LanguageModel) => !needsWords(model) || heard.trim() !== "",
    promptFor: (model: LanguageModel) => (needsWords(model) ? { ...written, text: heard } : prompt),
    /** Each call hears the prompt from its start. */
    open(onHeard: (words: string) => void) {
      let words = "";
      return (delta: string) => {
        words += delta;
        heard = words;
        onHeard(heard);
      };
    },
  };
}
