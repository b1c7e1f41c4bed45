import { InvalidRequest } from "../core/errors.ts";
import type { Voice } from "../providers/speech/synthesizer.ts";
import type { Prompt } from "../providers/text/generator.ts";
import {
  parseDeviceId,
  parsePixels,
  parseSessionId,
  parseVoiceField,
  parseWords,
} from "./fields.ts";
import { parseScreenshot } from "./screenshot.ts";

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
  /** True if the prompt's text is the reply itself, and no generator is asked. */
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
};

/** What a client sent to have a text spoken. */
export type WelcomeFields = {
  readonly text: string;
  readonly session_id?: string | undefined;
  readonly voice?: string | undefined;
  readonly language?: string | undefined;
};

const GREETING_MARK = "__GREETING__:";

/** Checks a turn's fields. Throws `InvalidRequest` that names the field and the rule. */
export function parseTurn(fields: TurnFields): TurnRequest {
  const deviceId = parseDeviceId(fields.hardware_id);
  const verbatim = fields.prompt.startsWith(GREETING_MARK);
  const words = verbatim ? fields.prompt.slice(GREETING_MARK.length) : fields.prompt;
  const screenshot = parseScreenshot(fields.screenshot);
  const width = parsePixels("screen_width", fields.screen_width);
  const height = parsePixels("screen_height", fields.screen_height);
  return {
    deviceId,
    sessionId: parseSessionId(fields.session_id),
    ...(fields.session_id && { conversationId: fields.session_id }),
    verbatim,
    prompt: {
      text: parseWords("prompt", words),
      ...(screenshot && { screenshot }),
      ...(width && height && { screen: { width, height } }),
    },
    voice: parseVoice(fields.voice, undefined),
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
