import { bytesOf, createAligner, samplesOf } from "../../core/audio/pcm.ts";
import { ProviderError } from "../../core/errors.ts";
import type { MessagePair, Prompt, ReplyPart, SpokenPrompt } from "../../models/language-model.ts";
import { unreadable } from "../gemini/errors.ts";
import type { LiveContent, LivePart, LiveSession } from "../gemini/live-messages.ts";
import {
  historyContents,
  promptContents,
  promptText,
  screenshotParts,
  spokenContents,
} from "../gemini/prompt.ts";

/** What one turn of a Live session sends. */
export type LiveTurn = {
  readonly model: string;
  readonly prompt: Prompt;
  /** Earlier turns that the server session has not seen. */
  readonly unseen: readonly MessagePair[];
};

/** Sends a turn. A client's own instructions go before its words: the session has the gateway's. */
export function sendTurn(session: LiveSession, { model, prompt: asked, unseen }: LiveTurn): void {
  const { instructions } = asked;
  const prompt = instructions ? { ...asked, text: `${instructions}\n\n${asked.text}` } : asked;
  if (asked.audio) {
    sendSpoken(session, { model, prompt, unseen }, asked.audio);
    return;
  }
  if (acceptsTextOnly(model)) {
    sendPictures(session, prompt);
    session.sendRealtime({ text: promptText(prompt, unseen) });
    return;
  }
  session.sendContents([...historyContents(unseen), ...promptContents(prompt)]);
}

/** Sends what the user said, behind all that goes with it. */
function sendSpoken(
  session: LiveSession,
  { model, prompt, unseen }: LiveTurn,
  { pcm, sampleRateHz }: SpokenPrompt,
): void {
  const isTextOnly = acceptsTextOnly(model);
  const beside = [...historyContents(unseen), ...spokenContents(prompt)];
  if (beside.length > 0 && !isTextOnly) session.sendContents(beside, "more");
  session.sendRealtime({ activityStart: {} });
  if (beside.length > 0 && isTextOnly) {
    // Outside of speech it would be answered by itself.
    sendPictures(session, prompt);
    session.sendRealtime({ text: promptText(prompt, unseen) });
  }
  for (let at = 0; at < pcm.length; at += PIECE_SAMPLES) {
    const data = Buffer.from(bytesOf(pcm.subarray(at, at + PIECE_SAMPLES))).toString("base64");
    session.sendRealtime({ audio: { mimeType: `audio/pcm;rate=${sampleRateHz}`, data } });
  }
  session.sendRealtime({ activityEnd: {} });
}

function sendPictures(session: LiveSession, prompt: Prompt): void {
  for (const { inlineData: video } of screenshotParts(prompt)) session.sendRealtime({ video });
}

/** Samples of a message: 250 ms at 16 kHz. */
const PIECE_SAMPLES = 4000;

/** Models of this generation refuse messages once a session has begun. */
function acceptsTextOnly(model: string): boolean {
  return /(^|\/)gemini-3\.1-/.test(model);
}

/** Reads the messages of one reply. */
export type ReplyReader = {
  /** The parts in a message, in order. Throws `ProviderError` if it is malformed. */
  read(content: LiveContent): ReplyPart[];
  /** Milliseconds of sound so far. */
  soundMs(): number;
  /** True if the transcript so far is short for the sound: its end has not arrived yet. */
  lacksWords(): boolean;
  /** Throws if the reply, now complete, is empty, meant so or not, or was withheld. */
  checkEnd(reason: string | undefined): void;
};

/** The vendor's sample rate if a message does not state one. */
const defaultRateHz = 24_000;
const maxRateHz = 192_000;
/** The slowest speech, pauses included, in letters a second. */
const minLettersPerSecond = 8;
/** Sound that need not have words yet: a breath, a short word. */
const wordlessMs = 500;
/** Characters that take as long to say as three letters. */
const ideograph = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/gu;
const harmlessReasons = new Set(["TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"]);

/** Creates the reader for one reply: its audio and transcript. Text that is not spoken is left out. */
export function createReplyReader(provider: string): ReplyReader {
  const align = createAligner(2);
  let isEmpty = true;
  /** The model has ended by itself: with nothing said, it has nothing to say. */
  let isMeant = false;
  let rateHz: number | undefined;
  let samples = 0;
  let letters = 0;
  let hasAllWords = false;
  const soundMs = () => (rateHz === undefined ? 0 : (samples / rateHz) * 1000);

  const readAudio = ({ mimeType = "", data = "" }: NonNullable<LivePart["inlineData"]>) => {
    const sampleRateHz = rateOf(mimeType);
    if (sampleRateHz === undefined) throw unreadable(provider);
    rateHz ??= sampleRateHz;
    if (rateHz !== sampleRateHz) {
      throw new ProviderError(provider, "protocol", "the sample rate changed within a reply");
    }
    const pcm = samplesOf(align(Buffer.from(data, "base64")));
    samples += pcm.length;
    return pcm.length > 0 ? [{ type: "audio" as const, pcm, sampleRateHz }] : [];
  };

  return {
    read({ modelTurn, inputTranscription, outputTranscription, generationComplete }) {
      isMeant ||= generationComplete === true;
      const words = outputTranscription?.text ?? "";
      letters += words.length + 2 * (words.match(ideograph)?.length ?? 0);
      // More words may follow, after a filler.
      hasAllWords = outputTranscription?.finished ?? (words === "" && hasAllWords);
      const parts: ReplyPart[] = [
        ...(words ? [{ type: "transcript" as const, text: words }] : []),
        ...(modelTurn?.parts ?? []).flatMap(({ thought, inlineData }) =>
          inlineData && !thought ? readAudio(inlineData) : [],
        ),
      ];
      isEmpty &&= parts.length === 0;
      const heard = inputTranscription?.text;
      return heard ? [{ type: "heard", text: heard }, ...parts] : parts;
    },
    soundMs,
    lacksWords: () =>
      !hasAllWords && letters < ((soundMs() - wordlessMs) / 1000) * minLettersPerSecond,
    checkEnd(reason) {
      if (reason !== undefined && !harmlessReasons.has(reason)) throw endError(provider, reason);
      if (!isEmpty) return;
      if (isMeant || reason === "NEED_MORE_INPUT") {
        throw new ProviderError(provider, "empty", "the model has nothing to say");
      }
      throw new ProviderError(provider, "protocol", "the response is empty");
    },
  };
}

/** All reasons but one are the vendor's policy. */
function endError(provider: string, reason: string): ProviderError {
  const note = /^[A-Z_]{1,64}$/.test(reason) ? ` (${reason})` : "";
  return reason === "MALFORMED_FUNCTION_CALL"
    ? new ProviderError(provider, "protocol", `the reply broke off${note}`)
    : new ProviderError(provider, "withheld", `the reply was withheld${note}`);
}

/** The rate of a PCM type such as `audio/pcm;rate=24000`; undefined if it is not PCM. */
function rateOf(mimeType: string): number | undefined {
  if (!/^audio\/(pcm|l16)\b/i.test(mimeType)) return undefined;
  const rateHz = Number(/;\s*rate=(\d+)/i.exec(mimeType)?.[1] ?? defaultRateHz);
  return rateHz > 0 && rateHz <= maxRateHz ? rateHz : undefined;
}
