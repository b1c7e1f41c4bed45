import { InvalidRequest } from "../core/errors.ts";
import type { Prompt, Screenshot } from "../models/language-model.ts";
import type { Voice } from "../models/synthesizer.ts";
import type { Continuation } from "./continuation.ts";
import { mergeWords } from "./merge-words.ts";
import { parseScreenshot } from "./screenshot-field.ts";
import {
  createId,
  parseDeviceId,
  parsePhaseSessionId,
  parseSessionId,
  parseTurnId,
  type Session,
} from "./sessions.ts";

/** Largest prompt, in bytes of UTF-8. */
export const MAX_PROMPT_BYTES = 64 * 1024;
const MAX_VOICE_CHARACTERS = 128;
const MAX_PIXELS = 32_768;

/** A piece of a prompt, checked, that came while the user still spoke. */
export type PromptPiece = {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Rises within a session, from 0. */
  readonly seq: number;
  /** A growing snapshot of the words, or what was added to them. May be empty. */
  readonly text: string;
  readonly screenshot?: Screenshot;
  /** Bytes that the screenshot takes. */
  readonly screenshotBytes: number;
  /** Pixels of the user's screen. */
  readonly screenWidth?: number;
  readonly screenHeight?: number;
};

/** What was collected of a prompt. */
export type CollectedPrompt = Pick<
  PromptPiece,
  "text" | "screenshot" | "screenWidth" | "screenHeight"
>;

/** A request for a turn, with checked fields. */
export type TurnRequest = {
  /** Absent for a text that is spoken for no device: such a turn cannot be interrupted. */
  readonly deviceId?: string;
  /** Of a turn without a device: that of its caller's token, whose quotas count it. */
  readonly payerId?: string;
  /** The session that the client named. If absent, the turn belongs to the device's current session. */
  readonly sessionId?: string;
  /** A UUID, as the client wrote it; made up if it named none. */
  readonly turnId: string;
  /** The connection that it came over, if any. Compared by identity. */
  readonly connection?: object;
  readonly prompt: Prompt;
  /** What was collected before; the prompt includes it. */
  readonly collected?: CollectedPrompt;
  /** True if the prompt's text is the reply itself. */
  readonly verbatim: boolean;
  /** True if the client keeps the conversation: the prompt holds it, and it is not remembered here. */
  readonly hasOwnHistory?: boolean;
  /** True if the reply is wanted as text, delta by delta, and no voice is asked. */
  readonly textOnly?: boolean;
  readonly voice: Voice;
  /** Sound is held back beyond so many milliseconds ahead of real-time playback. Absent: never. */
  readonly leadMs?: number;
  /** True if the turn goes on for 30 s when its connection is lost. */
  readonly resumable?: boolean;
  /** The form of the sound of such a turn; PCM if absent. */
  readonly audioFormat?: "opus";
  /** What another instance said of the turn, which is continued here. */
  readonly continues?: Continuation;
};

/** The fields of a turn, by the contract's names. An optional field may be empty instead of absent. */
export type TurnFields = {
  readonly prompt: string;
  readonly hardware_id: string;
  readonly session_id?: string | undefined;
  readonly screenshot?: string | undefined;
  readonly screen_width?: number | undefined;
  readonly screen_height?: number | undefined;
  readonly voice?: string | undefined;
  readonly language?: string | undefined;
  readonly turn_id?: string | undefined;
  readonly lead_ms?: number | undefined;
  readonly resumable?: boolean | undefined;
  /** Set if the sound of a turn that can be resumed is encoded. */
  readonly audio_format?: "opus" | undefined;
  /** Set if pieces of the prompt came before. */
  readonly phase?: "commit" | undefined;
};

/** The fields of a piece of a prompt. */
export type PieceFields = Omit<
  TurnFields,
  "voice" | "language" | "turn_id" | "lead_ms" | "resumable" | "audio_format" | "phase"
> & {
  readonly chunk_seq: number;
  readonly chunk_text?: string | undefined;
};

/** The fields of a text to be spoken. */
export type WelcomeFields = Pick<TurnFields, "session_id" | "voice" | "language"> & {
  readonly text: string;
};

const GREETING_MARK = "__GREETING__:";

/**
 * Checks a turn's fields, and merges them into what `findCollected` knows of its session. Throws
 * `InvalidRequest` that names the field and the rule.
 */
export function parseTurn(
  fields: TurnFields,
  findCollected: (session: Session) => CollectedPrompt | undefined = () => undefined,
): TurnRequest {
  const deviceId = parseDeviceId(fields.hardware_id);
  if (fields.phase) parsePhaseSessionId(fields.session_id);
  const sessionId = parseSessionId(fields.session_id);
  // A greeting is a text of its own: what the user has said so far waits for the turn that it belongs to.
  const collected =
    sessionId && !isGreeting(fields.prompt) ? findCollected({ deviceId, sessionId }) : undefined;
  const text = collected
    ? mergeWords(collected.text, parseText("prompt", fields.prompt))
    : fields.prompt;
  const verbatim = isGreeting(text);
  const words = verbatim ? text.slice(GREETING_MARK.length) : text;
  const { screenshot, width, height } = parseView(fields);
  return {
    deviceId,
    ...(sessionId && { sessionId }),
    turnId: parseTurnId(fields.turn_id) ?? createId(),
    ...(collected && { collected }),
    verbatim,
    prompt: promptOf(parseWords("prompt", words), {
      screenshot: screenshot ?? collected?.screenshot,
      width: width ?? collected?.screenWidth,
      height: height ?? collected?.screenHeight,
    }),
    voice: parseVoice(fields.voice, fields.language),
    ...(fields.lead_ms && { leadMs: fields.lead_ms }),
    ...(fields.resumable && { resumable: true }),
    ...(fields.audio_format && { audioFormat: fields.audio_format }),
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
    sessionId: parsePhaseSessionId(fields.session_id),
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
  const sessionId = parseSessionId(fields.session_id);
  return {
    ...(sessionId && { sessionId }),
    turnId: createId(),
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

/** A prompt or a text to speak. */
function parseWords(field: string, value: string): string {
  if (value.trim() === "") throw new InvalidRequest(field, "is required and must not be blank");
  return parseText(field, value);
}

/** Words that may be blank. */
function parseText(field: string, value: string): string {
  if (Buffer.byteLength(value) > MAX_PROMPT_BYTES) {
    throw new InvalidRequest(field, `must be at most ${MAX_PROMPT_BYTES} bytes of UTF-8`);
  }
  return value;
}

/** One side of the user's screen. Absent and 0 mean unknown. */
function parsePixels(field: string, value: number | undefined): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (Number.isInteger(value) && value > 0 && value <= MAX_PIXELS) return value;
  throw new InvalidRequest(field, `must be 1 to ${MAX_PIXELS} pixels, or 0 for unknown`);
}

/** A voice by its provider's name. */
function parseVoiceField(value: string | undefined): { name?: string } {
  if (!value) return {};
  if (value.length <= MAX_VOICE_CHARACTERS && !/\p{Cc}/u.test(value)) return { name: value };
  throw new InvalidRequest(
    "voice",
    `must be at most ${MAX_VOICE_CHARACTERS} characters, none of control`,
  );
}
