import type { MessagePair, Prompt } from "../../models/language-model.ts";

/** A piece of a message in the vendor's form: words, or a file in base64. */
type GeminiPart = { text: string } | { inlineData: { mimeType: string; data: string } };

/** One message of a conversation in the vendor's form. */
export type GeminiContent = { role: "user" | "model"; parts: GeminiPart[] };

/** Asks for the rest of a reply that the user has partly got. */
const GO_ON =
  "Your reply above was cut off there. Go on from exactly that point: repeat none of it, do not " +
  "start over, and do not speak of the break. If a space belongs at the joint, begin with it.";

/** What the model is told of itself and of the user; undefined if there is nothing to tell. */
export function instructionOf(systemPrompt = "", memory = ""): string | undefined {
  const parts = [systemPrompt.trim(), memoryNote(memory)].filter((part) => part !== "");
  return parts.length > 0 ? parts.join("\n\n") : undefined;
}

/** What is remembered of the user, as a note; empty if nothing is. */
export function memoryNote(memory = ""): string {
  const facts = memory.trim();
  return facts && `What you remember of the user from other conversations:\n${facts}`;
}

/** Earlier turns as messages, oldest first. A side that is blank is left out: the vendor refuses it. */
export function historyContents(history: readonly MessagePair[] = []): GeminiContent[] {
  return history
    .flatMap(({ user, assistant }) => [say("user", user), say("model", assistant)])
    .filter(({ parts: [part] }) => part && "text" in part && part.text.trim() !== "");
}

/** The prompt itself: the screen first, then the words, then what was already said of the reply. */
export function promptContents(prompt: Prompt): GeminiContent[] {
  const asked: GeminiContent = {
    role: "user",
    parts: [...screenshotParts(prompt), ...notes(prompt), { text: prompt.text }],
  };
  if (prompt.prefix === undefined) return [asked];
  return [asked, say("model", prompt.prefix), say("user", GO_ON)];
}

/**
 * The whole prompt as one text, for models that take a conversation's words in no other form. The
 * screenshot is not part of it.
 */
export function promptText(
  prompt: Prompt,
  { note, history }: { readonly note: string; readonly history: readonly MessagePair[] },
): string {
  const lines = history.map(({ user, assistant }) => `User: ${user}\nYou: ${assistant}`);
  const past = lines.length > 0 ? `The conversation so far:\n${lines.join("\n")}` : "";
  const begun = prompt.prefix;
  const rest = begun === undefined ? [] : [`Your reply so far:\n${begun}`, GO_ON];
  const screen = notes(prompt).map(({ text }) => text);
  return [note, past, ...screen, prompt.text, ...rest].filter((part) => part !== "").join("\n\n");
}

/** The picture of the screen, if there is one, in the vendor's form and its own format. */
export function screenshotParts({ screenshot }: Prompt): { inlineData: Picture }[] {
  if (!screenshot) return [];
  const { bytes, mimeType } = screenshot;
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  return [{ inlineData: { mimeType, data } }];
}

type Picture = { mimeType: string; data: string };

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
