import { createAligner, samplesOf } from "../../core/audio/bytes.ts";
import { ProviderError } from "../../core/errors.ts";
import type { MessagePair, Prompt, ReplyPart } from "../../models/language-model.ts";
import type { LiveContent, LivePart, LiveSession } from "../gemini/client.ts";
import { unreadable } from "../gemini/errors.ts";
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

/** Reads the messages of one reply. */
export type ReplyReader = {
  /** The parts that a message holds, in order. Throws `ProviderError` if it cannot be read. */
  read(content: LiveContent): ReplyPart[];
  /** Throws if the reply, which is over, is none: empty, or withheld. */
  checkEnd(reason: string | undefined): void;
};

/** The vendor's rate where a message does not say. */
const usualRateHz = 24_000;
const highestRateHz = 192_000;
const harmlessReasons = new Set(["TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"]);

/**
 * Makes the reader for one reply. Its first words or sound settle what it is: a voice with its
 * transcript, or a text. What belongs to the other kind is left out.
 */
export function createReplyReader(provider: string): ReplyReader {
  const align = createAligner(2);
  let kind: "voice" | "text" | undefined;
  let rateHz: number | undefined;

  const readAudio = ({ mimeType = "", data = "" }: NonNullable<LivePart["inlineData"]>) => {
    const sampleRateHz = rateOf(mimeType);
    if (sampleRateHz === undefined) throw unreadable(provider);
    rateHz ??= sampleRateHz;
    if (rateHz !== sampleRateHz) {
      throw new ProviderError(provider, "protocol", "the sound changes its rate");
    }
    const pcm = samplesOf(align(Buffer.from(data, "base64")));
    return pcm.length > 0 ? [{ type: "audio" as const, pcm, sampleRateHz }] : [];
  };

  const readPart = (part: LivePart): ReplyPart[] => {
    if (part.thought) return [];
    if (part.inlineData) return readAudio(part.inlineData);
    return part.text ? [{ type: "text", text: part.text }] : [];
  };

  return {
    read({ modelTurn, outputTranscription }) {
      const words = outputTranscription?.text;
      const parts: ReplyPart[] = [
        ...(words ? [{ type: "transcript" as const, text: words }] : []),
        ...(modelTurn?.parts ?? []).flatMap(readPart),
      ];
      if (parts[0]) kind ??= kindOf(parts[0]);
      return parts.filter((part) => kindOf(part) === kind);
    },
    checkEnd(reason) {
      if (reason !== undefined && !harmlessReasons.has(reason)) {
        throw new ProviderError(provider, "unsupported", `the reply was withheld (${reason})`);
      }
      if (kind === undefined) throw new ProviderError(provider, "protocol", "the answer is empty");
    },
  };
}

function kindOf({ type }: ReplyPart): "voice" | "text" {
  return type === "text" ? "text" : "voice";
}

/** The rate of a PCM type such as `audio/pcm;rate=24000`; undefined if it is not PCM. */
function rateOf(mimeType: string): number | undefined {
  if (!/^audio\/(pcm|l16)\b/i.test(mimeType)) return undefined;
  const rateHz = Number(/;\s*rate=(\d+)/i.exec(mimeType)?.[1] ?? usualRateHz);
  return rateHz > 0 && rateHz <= highestRateHz ? rateHz : undefined;
}
