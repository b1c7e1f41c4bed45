import type { Failure } from "./failure.ts";
import type { ReplySource } from "./gateway.ts";
import { handover, t } from "./messages.ts";
import type { Turn } from "./turn.ts";

/** The quiet lines that tell of a new source. `before` is the one before it in the turn, if any. */
export function notesOfSource(source: ReplySource, before: string | undefined): readonly string[] {
  const notes = source.from ? [handover(source, before !== undefined)] : [];
  const isTone = source.kind === "speech" && source.tier === "tone";
  return isTone ? [...notes, t.noVoiceTone] : notes;
}

/** The quiet line that says how a turn ended, if not well. */
export function noteOf(turn: Turn, failure: Failure | undefined): string | undefined {
  if (failure?.kind === "unspoken") return `${failure.title} ${failure.detail}`;
  if (failure?.kind === "interrupted") return t.interrupted;
  if (failure) return turn.bytes > 0 ? t.notComplete : t.noReply;
  return turn.partial ? t.brokeOff : undefined;
}
