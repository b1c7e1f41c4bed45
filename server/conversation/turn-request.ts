import { InvalidRequest } from "../core/errors.ts";
import type { Prompt } from "../models/language-model.ts";
import type { Voice } from "../models/synthesizer.ts";
import type { CollectedPrompt, PromptOwner, PromptPiece } from "./collected-prompts.ts";
import { parseDeviceId, parsePhaseSessionId, parsePixels, parseScreenshot, parseSessionId, parseText, parseVoiceField, parseWords } from "./turn-request.ts";
import { mergeWords } from "./merge-words.ts";

/** A turn that is fit to run: every field was checked. */
export type TurnRequest = {
  /** Absent for a text to be spoken that names no device: such a turn cannot be interrupted. */
  readonly deviceId?: string;
  /** Names the turn to whoever interrupts it. Made up for a client that gives none. */
  readonly sessionId: string;
  /** The connection that it came over, where there is one. Compared, and nothing else. */
  readonly connection?: object;
  /** The conversation that the client named. One that names none has one conversation a device. */
  readonly conversationId?: string;
  readonly prompt: Prompt;
  /** What was collected before, and is in the prompt by now. */
  readonly collected?: CollectedPrompt;
  /** True if the prompt's text is the reply itself, and no language model is asked. */
  readonly verbatim: boolean;
  readonly voice: Voice;
};

/** What a client sent, by the contract's names. Empty and absent mean the same where it is optional. */
export type TurnFields = {
  readonly prompt: string;
  readonly hardware_id: string;
  readonly session_id?: string | undefined;
  readonly screenshot?: string | undefined;
  readonly screen_width?: number | undefined;
  readonly screen_height?: number | undefined;
  readonly voice?: string | undefined;
  /** Set if the client says that pieces of the prompt came before. */
  readonly phase?: "commit" | undefined;
};

/** What a client sent with a piece of a prompt. */
export type PieceFields = Omit<TurnFields, "voice" | "phase"> & {
  readonly chunk_seq: number;
  readonly chunk_text?: string | undefined;
};

/** What a client sent to have a text spoken. */
export type WelcomeFields = {
  readonly text: string;
  readonly session_id?: string | undefined;
  readonly voice?: string | undefined;
  readonly language?: string | undefined;
};

const GREETING_MARK = "__GREETING__:";

/**
 * Checks a turn's fields, and merges them into what `findCollected` knows of its session. Throws
 * `InvalidRequest` that names the field and the rule.
 */
export function parseTurn(
  fields: TurnFields,
  findCollected: (owner: PromptOwner) => CollectedPrompt | undefined = () => undefined,
): TurnRequest {
  const deviceId = parseDeviceId(fields.hardware_id);
  if (fields.phase) parsePhaseSessionId(fields.session_id);
  const sessionId = parseSessionId(fields.session_id);
  const conversationId = fields.session_id || undefined;
  // A greeting is a text of its own: what the user has said so far waits for the turn it belongs to.
  const collected =
    conversationId && !isGreeting(fields.prompt)
      ? findCollected({ deviceId, conversationId })
      : undefined;
  const text = collected
    ? mergeWords(collected.text, parseText("prompt", fields.prompt))
    : fields.prompt;
  const verbatim = isGreeting(text);
  const words = verbatim ? text.slice(GREETING_MARK.length) : text;
  const { screenshot, width, height } = parseView(fields);
  return {
    deviceId,
    sessionId,
    ...(conversationId && { conversationId }),
    ...(collected && { collected }),
    verbatim,
    prompt: promptOf(parseWords("prompt", words), {
      screenshot: screenshot ?? collected?.screenshot,
      width: width ?? collected?.screenWidth,
      height: height ?? collected?.screenHeight,
    }),
    voice: parseVoice(fields.voice, undefined),
  };
}

/** Checks the fields of a piece of a prompt. Throws `InvalidRequest`. */
export function parsePiece(fields: PieceFields): PromptPiece {
  const { chunk_seq: seq, chunk_text: chunkText, screenshot: base64 = "" } = fields;
  if (!Number.isInteger(seq) || seq < 0) {
    throw new InvalidRequest("chunk_seq", "must be a whole number from 0 up");
  }
  const { screenshot, width, height } = parseView(fields);
  return {
    deviceId: parseDeviceId(fields.hardware_id),
    conversationId: parsePhaseSessionId(fields.session_id),
    seq,
    text: chunkText ? parseText("chunk_text", chunkText) : parseText("prompt", fields.prompt),
    ...(screenshot && { screenshot }),
    screenshotBytes: Buffer.byteLength(base64, "base64"),
    ...(width && { screenWidth: width }),
    ...(height && { screenHeight: height }),
  };
}

/** Checks the fields of a text to be spoken. Throws `InvalidRequest`. */
export function parseWelcome(fields: WelcomeFields): TurnRequest {
  return {
    sessionId: parseSessionId(fields.session_id),
    verbatim: true,
    prompt: { text: parseWords("text", fields.text) },
    voice: parseVoice(fields.voice, fields.language),
  };
}

function isGreeting(text: string): boolean {
  return text.startsWith(GREETING_MARK);
}

/** What the user sees: a picture of the screen, and its size. */
type View = {
  readonly screenshot: Prompt["screenshot"] | undefined;
  readonly width: number | undefined;
  readonly height: number | undefined;
};

function parseView(fields: TurnFields | PieceFields): View {
  return {
    screenshot: parseScreenshot(fields.screenshot),
    width: parsePixels("screen_width", fields.screen_width),
    height: parsePixels("screen_height", fields.screen_height),
  };
}

function promptOf(text: string, { screenshot, width, height }: View): Prompt {
  return {
    text,
    ...(screenshot && { screenshot }),
    ...(width && height && { screen: { width, height } }),
  };
}

function parseVoice(name: string | undefined, language: string | undefined): Voice {
  if (language && !isLanguageTag(language)) {
    throw new InvalidRequest("language", 'must be a language tag such as "en-US"');
  }
  return { ...parseVoiceField(name), ...(language && { language }) };
}

function isLanguageTag(tag: string): boolean {
  try {
    return tag.length <= 64 && Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}
