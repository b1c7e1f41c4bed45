import type { CallFacts } from "../core/outcomes.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../models/language-model.ts";
import { runTiers, type Source, type TierListener, type TierRun } from "./tiers.ts";

/** A part of a reply, and who made it. */
export type TierPart = { readonly source: Source | undefined; readonly part: ReplyPart };

/** The language tiers, and what a run of them needs besides. */
export type TextRun = TierListener &
  Pick<TierRun<LanguageModel, ReplyPart, TierPart>, "tiers" | "callsNext" | "time">;

/**
 * One reply by the tiers. If a language model fails midway, the next gets what was said as its prefix
 * and continues from there; a tier that can only begin a reply is not asked for that.
 */
export function generateReply(
  chain: TextRun,
  prompt: Prompt,
  signal: AbortSignal,
): AsyncGenerator<readonly TierPart[]> {
  let said = "";
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
      ...prompt,
      ...(said !== "" && { prefix: said }),
      ...(traceparent !== undefined && { traceparent }),
      onFacts(told: CallFacts) {
        facts = { ...facts, ...told };
      },
    };
    return {
      parts: languageModel.generate(asked, callSignal),
      push(part: ReplyPart) {
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
      canOpen: ({ startsOnly }) => said === "" || !startsOnly,
      mayAddNothing: () => said !== "",
    },
    signal,
  );
}
