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
  const open = (languageModel: LanguageModel, callSignal: AbortSignal, source: Source) => {
    let hasBegun = false;
    return {
      parts: languageModel.generate(said === "" ? prompt : { ...prompt, prefix: said }, callSignal),
      push(part: ReplyPart) {
        hasBegun = true;
        if (part.type !== "audio") said += part.text;
        return [{ source, part }];
      },
      end: () => [],
      fail: () => [],
      hasBegun: () => hasBegun,
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
