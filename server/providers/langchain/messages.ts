import type { Prompt, Screenshot } from "../../models/language-model.ts";

/** A piece of a message: words, or a picture as a data URL. */
type ChatContent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

/** A message to a chat model. */
export type ChatMessage = {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly ChatContent[];
};

const goOn =
  "Your last message was cut off. Go on from exactly where it stops, in the middle of the word if it stops there, and with a space if one belongs there. Do not repeat any of it, and do not mention this.";

/**
 * The conversation as a chat model takes it, oldest first: what it is to be and what is known of
 * the user, the earlier turns, the prompt with the picture of the screen, and what the user has got
 * of the reply already, if another model failed midway.
 */
export function createMessages(prompt: Prompt, systemPrompt = ""): readonly ChatMessage[] {
  const system = describe(prompt, systemPrompt);
  const messages: ChatMessage[] = [{ role: "system", content: system }];
  for (const { user, assistant } of prompt.history ?? []) {
    messages.push({ role: "user", content: user }, { role: "assistant", content: assistant });
  }
  messages.push({ role: "user", content: contentOf(prompt) });
  if (prompt.prefix !== undefined) {
    messages.push({ role: "assistant", content: prompt.prefix });
    messages.push({ role: "user", content: goOn });
  }
  // A turn that was cut short may have a side that is blank, which some providers refuse.
  return messages.filter(({ content }) => typeof content !== "string" || content.trim() !== "");
}

function describe({ memory, screen }: Prompt, systemPrompt: string): string {
  const paragraphs = [
    systemPrompt,
    memory ? `What you know of the user:\n${memory}` : "",
    screen ? `The user's screen is ${screen.width} by ${screen.height} pixels.` : "",
  ];
  return paragraphs.filter((paragraph) => paragraph !== "").join("\n\n");
}

function contentOf({ text, screenshot }: Prompt): ChatMessage["content"] {
  if (!screenshot) return text;
  return [
    { type: "text", text },
    { type: "image_url", image_url: { url: dataUrlOf(screenshot) } },
  ];
}

/** OpenAI and Google document JPEG, PNG and WebP: the screenshot goes as it came. */
function dataUrlOf({ bytes, mimeType }: Screenshot): string {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return `data:${mimeType};base64,${file.toString("base64")}`;
}
