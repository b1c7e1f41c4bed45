import type { MessagePair, Prompt } from "../../models/language-model.ts";
import type { LiveSession } from "../gemini/client.ts";
import {
  historyContents,
  memoryNote,
  promptContents,
  promptText,
  screenshotParts,
} from "../gemini/prompt.ts";

/** What one turn of a Live session asks. */
export type LiveTurn = {
  readonly model: string;
  readonly prompt: Prompt;
  /** Earlier turns that the server session has not seen. */
  readonly unseen: readonly MessagePair[];
  /** True if the server session has seen nothing at all. */
  readonly isFirst: boolean;
};

/**
 * Asks. A connection is set up before it is known whose it will be, so what is remembered of the
 * user goes ahead of a session's first turn, and not into its instruction.
 */
export function sendTurn(session: LiveSession, turn: LiveTurn): void {
  const note = turn.isFirst ? memoryNote(turn.prompt.memory) : "";
  if (takesTextOnly(turn.model)) {
    for (const { inlineData } of screenshotParts(turn.prompt)) session.sendPicture(inlineData);
    session.sendText(promptText(turn.prompt, { note, history: turn.unseen }));
    return;
  }
  const contents = [...historyContents(turn.unseen), ...promptContents(turn.prompt)];
  if (note !== "") contents[0]?.parts.unshift({ text: note });
  session.sendContents(contents);
}

/** The models of this one generation refuse whole messages in a session that has begun. */
function takesTextOnly(model: string): boolean {
  return /(^|\/)gemini-3\.1-/.test(model);
}
