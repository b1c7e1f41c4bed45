import type { MessagePair, Prompt } from "../../models/language-model.ts";

/** A piece of a message in the vendor's format: text, or a file in base64. */
type GeminiPart = { text: string } | { inlineData: { mimeType: string; data: string } };

/** One message of a conversation in the vendor's format. */
export type GeminiContent = { role: "user" | "model"; parts: GeminiPart[] };

/** Asks for the rest of a reply that another tier began. */
const CONTINUE =
  "Your reply above was cut off there. Go on from exactly that point: repeat none of it, do not " +
  "start over, and do not speak of the break. If a space belongs at the joint, begin with it.";

/** The system instruction; undefined if it is blank. */
export function instructionOf(systemPrompt = ""): string | undefined {
  return systemPrompt.trim() || undefined;
}

/** Earlier turns as messages, oldest first. Blank ones are left out: the vendor refuses them. */
export function historyContents(history: readonly MessagePair[] = []): GeminiContent[] {
  return history
    .flatMap(({ user, assistant }) => [say("user", user), say("model", assistant)])
    .filter(({ parts: [part] }) => part && "text" in part && part.text.trim() !== "");
}

/** The prompt: what is remembered, the screenshot, the text, and the prefix of the reply if another tier began it. */
export function promptContents(prompt: Prompt): GeminiContent[] {
  const message = say("user", prompt.text);
  message.parts.unshift(...besideWords(prompt));
  if (prompt.prefix === undefined) return [message];
  return [message, say("model", prompt.prefix), say("user", CONTINUE)];
}

/** What goes with words that come as sound, as messages. */
export function spokenContents(prompt: Prompt): GeminiContent[] {
  const words = prompt.text.trim() === "" ? [] : [{ text: prompt.text }];
  const parts = [...besideWords(prompt), ...words];
  return parts.length > 0 ? [{ role: "user", parts }] : [];
}

/**
 * The prompt as one text, for models that accept no messages. The screenshot is not part of it.
 * `history` replaces the prompt's own.
 */
export function promptText(prompt: Prompt, history: readonly MessagePair[]): string {
  const lines = history.map(({ user, assistant }) => `User: ${user}\nYou: ${assistant}`);
  const past = lines.length > 0 ? `The conversation so far:\n${lines.join("\n")}` : "";
  const { prefix } = prompt;
  const rest = prefix === undefined ? [] : [`Your reply so far:\n${prefix}`, CONTINUE];
  const beside = [...memoryParts(prompt), ...notes(prompt)].map(({ text }) => text);
  return [past, ...beside, prompt.text, ...rest].filter((part) => part !== "").join("\n\n");
}

/** The screenshot in the vendor's format, if there is one. */
export function screenshotParts({ screenshot }: Prompt): { inlineData: Picture }[] {
  if (!screenshot) return [];
  const { bytes, mimeType } = screenshot;
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  return [{ inlineData: { mimeType, data } }];
}

type Picture = { mimeType: string; data: string };

/** Not in the instruction: it is data, and others wrote it. */
function memoryParts({ memory }: Prompt): { text: string }[] {
  return memory === undefined ? [] : [{ text: memory }];
}

function besideWords(prompt: Prompt): GeminiPart[] {
  return [...memoryParts(prompt), ...screenshotParts(prompt), ...notes(prompt)];
}

function notes({ screen, screenshot }: Prompt): { text: string }[] {
  const size = screen && `The user's screen has ${screen.width} x ${screen.height} pixels.`;
  const picture =
    screenshot && `The picture shows it at ${screenshot.width} x ${screenshot.height} pixels.`;
  const text = [size, picture].filter((part) => part !== undefined).join(" ");
  return text === "" ? [] : [{ text: `(${text})` }];
}

function say(role: GeminiContent["role"], text: string): GeminiContent {
  return { role, parts: [{ text }] };
}
