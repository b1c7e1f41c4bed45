import type { LanguageModel, Prompt, ReplyPart } from "../models/language-model.ts";
import { runTiers, type Tier, type TierListener, type TierPart } from "./tiers.ts";

/** The text tiers, and who is told what happens to them. */
export type ReplyRun = TierListener & {
  /** Best first. */
  readonly tiers: readonly Tier<LanguageModel>[];
};

/**
 * One reply by the tiers. A language model that fails midway is followed by the next, which is told what
 * was said already and goes on from there.
 */
export async function* generateReply(
  chain: ReplyRun,
  prompt: Prompt,
  signal: AbortSignal,
): AsyncGenerator<TierPart<ReplyPart>> {
  let said = "";
  const open = (languageModel: LanguageModel, callSignal: AbortSignal) =>
    languageModel.generate(said === "" ? prompt : { ...prompt, prefix: said }, callSignal);
  const run = { ...chain, kind: "text", open };
  for await (const step of runTiers(run, signal)) {
    if (step.part.type !== "audio") said += step.part.text;
    yield step;
  }
}
