import type { Prompt, Screenshot } from "../../models/language-model.ts";

/** A piece of a message: text, or an image as a data URL. */
type ChatContent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

/** A message to a chat model. */
export type ChatMessage = {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly ChatContent[];
};

/** Asks for the rest of a reply that another tier began. */
const CONTINUE =
  "Your last message was cut off. Go on from exactly where it stops, in the middle of the word if it stops there, and with a space if one belongs there. Do not repeat any of it, and do not mention this.";

/**
 * The messages to a chat model, oldest first: the system prompt, the history, the prompt with
 * what is remembered and the screenshot, and the prefix of the reply if another tier began it.
 */
export function createMessages(prompt: Prompt, systemPrompt = ""): readonly ChatMessage[] {
  const system = systemText(prompt, systemPrompt);
  const messages: ChatMessage[] = [{ role: "system", content: system }];
  for (const { user, assistant } of prompt.history ?? []) {
    messages.push({ role: "user", content: user }, { role: "assistant", content: assistant });
  }
  messages.push({ role: "user", content: contentOf(prompt) });
  if (prompt.prefix !== undefined) {
    messages.push({ role: "assistant", content: prompt.prefix });
    messages.push({ role: "user", content: CONTINUE });
  }
  // An interrupted turn may have a blank message, which some providers refuse.
  return messages.filter(({ content }) => typeof content !== "string" || content.trim() !== "");
}

function systemText({ instructions, screen }: Prompt, systemPrompt: string): string {
  const paragraphs = [
    instructions ?? systemPrompt,
    screen ? `The user's screen is ${screen.width} by ${screen.height} pixels.` : "",
  ];
  return paragraphs.filter((paragraph) => paragraph !== "").join("\n\n");
}

function contentOf({ text, memory, screenshot }: Prompt): ChatMessage["content"] {
  // Not in the system prompt: it is data, and others wrote it.
  const words = memory === undefined ? text : `${memory}\n\n${text}`;
  if (!screenshot) return words;
  return [
    { type: "text", text: words },
    { type: "image_url", image_url: { url: dataUrlOf(screenshot) } },
  ];
}

/** Unchanged: OpenAI and Google document JPEG, PNG and WebP. */
function dataUrlOf({ bytes, mimeType }: Screenshot): string {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return `data:${mimeType};base64,${file.toString("base64")}`;
}
