import { z } from "zod";
import { MAX_PROMPT_BYTES } from "../../conversation/turn-request.ts";
import type { MessagePair, Prompt, SpokenPrompt } from "../../models/language-model.ts";
import { invalidField } from "./errors.ts";

const MAX_MESSAGES = 2048;

const part = z.looseObject({ type: z.string(), text: z.string().optional() });

const message = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(part)]).nullish(),
  tool_calls: z.array(z.unknown()).nullish(),
});

/** The messages of a chat, as its schema. */
export const chatMessages = z.array(message).min(1).max(MAX_MESSAGES);

/** A message as text. One of the user's voice has it as `audio` as well, while no model has told its words. */
export type TextMessage = {
  readonly role: "system" | "user" | "assistant";
  readonly text: string;
  readonly audio?: SpokenPrompt;
};

/** What a turn's prompt takes of a conversation that the client keeps. */
export type ConversationPrompt = Pick<Prompt, "text" | "audio" | "history" | "instructions">;

/** Reads a chat's messages. Throws `OpenaiProblem` that names the message which the tiers cannot take. */
export function readMessages(messages: z.output<typeof chatMessages>): readonly TextMessage[] {
  return messages.map(({ role, content, tool_calls: calls }, index) => {
    const path = `messages.${index}`;
    if (calls && calls.length > 0) {
      throw invalidField(`${path}.tool_calls`, "is not supported: this gateway calls no tools");
    }
    return { role: roleOf(role, path), text: textOf(content ?? "", path) };
  });
}

function roleOf(role: string, path: string): TextMessage["role"] {
  if (role === "developer" || role === "system") return "system";
  if (role === "user" || role === "assistant") return role;
  throw invalidField(`${path}.role`, "must be system, developer, user or assistant");
}

/** A message's text; its parts follow each other as they stand. */
function textOf(content: string | readonly z.output<typeof part>[], path: string): string {
  if (typeof content === "string") return content;
  return content
    .map(({ type, text }, index) => {
      if (text !== undefined && /^(input_|output_)?text$/.test(type)) return text;
      throw invalidField(`${path}.content.${index}.type`, "must be text: the tiers get text alone");
    })
    .join("");
}

/**
 * The prompt at the end of a conversation. The last message is the user's. Messages of one speaker that
 * follow each other become one; of the user's voice the last. Throws `OpenaiProblem`.
 */
export function promptOf(messages: readonly TextMessage[]): ConversationPrompt {
  const said = messages.filter(({ role }) => role !== "system");
  const audio = said.at(-1)?.audio;
  if (audio) said.pop();
  const spoken = merge(said);
  const context = instructionsOf(messages);
  if (audio) return { text: "", audio, ...withHistory(spoken), ...context };
  const last = spoken.pop();
  if (last?.role !== "user" || last.text.trim() === "") {
    throw invalidField("messages", "must end with a message of the user that is not blank");
  }
  if (Buffer.byteLength(last.text) > MAX_PROMPT_BYTES) {
    throw invalidField("messages", `must end with at most ${MAX_PROMPT_BYTES} bytes of UTF-8`);
  }
  return { text: last.text, ...withHistory(spoken), ...context };
}

function instructionsOf(messages: readonly TextMessage[]): Pick<Prompt, "instructions"> {
  const instructions = messages
    .filter(({ role, text }) => role === "system" && text.trim() !== "")
    .map(({ text }) => text)
    .join("\n\n");
  return instructions === "" ? {} : { instructions };
}

function withHistory(messages: readonly TextMessage[]): Pick<Prompt, "history"> {
  const history = pairsOf(messages);
  return history.length > 0 ? { history } : {};
}

function merge(messages: readonly TextMessage[]): TextMessage[] {
  const merged: TextMessage[] = [];
  for (const each of messages) {
    const last = merged.at(-1);
    if (last?.role !== each.role) merged.push(each);
    else merged[merged.length - 1] = { ...last, text: `${last.text}\n\n${each.text}` };
  }
  return merged;
}

/** What the assistant says first is a pair without the user's words. */
function pairsOf(messages: readonly TextMessage[]): MessagePair[] {
  const pairs: MessagePair[] = [];
  for (const [index, { role, text }] of messages.entries()) {
    if (role === "user") pairs.push({ user: text, assistant: messages[index + 1]?.text ?? "" });
    else if (index === 0) pairs.push({ user: "", assistant: text });
  }
  return pairs;
}
