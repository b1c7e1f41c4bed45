import type { Generator, Prompt, ReplyPart } from "./text/generator.ts";
import { runTiers, type Tier, type TierOutcome, type TierPart } from "./tiers.ts";

/** The text tiers, and who is told how their calls end. */
export type ReplyRun = {
  /** Best first. */
  readonly tiers: readonly Tier<Generator>[];
  readonly onOutcome?: (outcome: TierOutcome) => void;
};

/**
 * One reply by the tiers. A generator that fails midway is followed by the next, which is told what
 * was said already and goes on from there.
 */
export async function* generateReply(
  { tiers, onOutcome }: ReplyRun,
  prompt: Prompt,
  signal: AbortSignal,
): AsyncGenerator<TierPart<ReplyPart>> {
  let said = "";
  const open = (generator: Generator, callSignal: AbortSignal) =>
    generator.generate(said === "" ? prompt : { ...prompt, alreadySaid: said }, callSignal);
  const run = { kind: "text", tiers, open, ...(onOutcome && { onOutcome }) };
  for await (const step of runTiers(run, signal)) {
    if (step.part.type !== "audio") said += step.part.text;
    yield step;
  }
}
