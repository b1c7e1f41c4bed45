import { setTimeout } from "node:timers/promises";
import type { WebSocket } from "ws";
import { boundariesOf, readDocument, soundFrame, textFrame } from "./microsoft-speech-messages.ts";
import { toneSeconds, wordSeconds } from "./microsoft-speech-tones.ts";
import type { EmulatorScript } from "./script.ts";

/** How a service sounds. */
export type Sound = {
  /** The type that its messages state. */
  readonly type: string;
  /** A word as a tone of its own; `isWrong` if at another rate than was asked for. */
  readonly word: (at: number, isWrong: boolean) => Uint8Array;
};

/** One document on its way. */
export type SpeechTurn = {
  readonly socket: WebSocket;
  readonly requestId: string;
  readonly ssml: string;
  readonly script: EmulatorScript;
  readonly sound: Sound;
  /** Fires when the client left. */
  readonly left: AbortSignal;
};

const ticksPerSecond = 10_000_000;

/** Speaks a document, with the script's delays and fault. Ends early when the client leaves. */
export async function playTurn(turn: SpeechTurn): Promise<void> {
  const { requestId, script } = turn;
  const document = readOrRefuse(turn);
  if (!document) return;
  const streamId = requestId.split("").reverse().join("");
  await send(turn, textFrame("turn.start", requestId, { context: { serviceTag: requestId } }));
  const audio = { type: "inline", streamId };
  await send(turn, textFrame("response", requestId, { context: {}, audio }));
  await rest(script.firstPartMs, turn.left);
  let words = 0;
  for (const { text, isWord } of boundariesOf(document.text)) {
    if (turn.left.aborted || (await playFaultAt(turn, words))) return;
    if (isWord && words > 0) await rest(script.partMs, turn.left);
    const tell = () =>
      send(turn, textFrame("audio.metadata", requestId, metadata(text, isWord, words)));
    if (isWord) await speakWord(turn, () => sendSound(turn, streamId, words), tell);
    else await tell();
    words += isWord ? 1 : 0;
  }
  if (await playFaultAt(turn, Number.POSITIVE_INFINITY)) return;
  // As the service does, it ends with a little silence.
  if (words > 0) await sendSilence(turn, streamId);
  await send(turn, textFrame("turn.end", requestId, {}));
}

type Send = () => Promise<void>;

async function speakWord({ script }: SpeechTurn, sound: Send, tell: Send): Promise<void> {
  for (const step of script.wordsLate ? [sound, tell] : [tell, sound]) await step();
}

function readOrRefuse({ ssml, socket }: SpeechTurn) {
  try {
    const document = readDocument(ssml);
    if (document.voice.endsWith("Neural")) return document;
    socket.close(1007, `Unsupported voice ${document.voice}.`);
  } catch {
    socket.close(1007, `SSML parsing error: ${ssml.slice(0, 60).replaceAll(/[^ -~]/g, "?")}`);
  }
  return undefined;
}

function metadata(text: string, isWord: boolean, words: number): object {
  const at = isWord ? words * wordSeconds : Math.max(0, words - 1) * wordSeconds + toneSeconds;
  const BoundaryType = isWord ? "WordBoundary" : "PunctuationBoundary";
  const Data = {
    Offset: Math.round(at * ticksPerSecond),
    Duration: Math.round((isWord ? toneSeconds : 0.01) * ticksPerSecond),
    text: { Text: text, Length: text.length, BoundaryType },
  };
  return { Metadata: [{ Type: "WordBoundary", Data }] };
}

async function sendSound(turn: SpeechTurn, streamId: string, word: number): Promise<void> {
  const { script, sound, requestId } = turn;
  const bytes = sound.word(word, script.fault?.kind === "wrong-rate");
  const head = { requestId, streamId, type: sound.type };
  // A message for every byte of raw sound would keep a test busy for seconds: the first ones do.
  const single = script.fault?.kind === "drip" ? 301 : 0;
  for (let at = 0; at < single && !turn.left.aborted; at++) {
    await send(turn, soundFrame(head, bytes.subarray(at, at + 1)));
  }
  await send(turn, soundFrame(head, bytes.subarray(single)));
}

async function sendSilence(turn: SpeechTurn, streamId: string): Promise<void> {
  const { sound, requestId, script } = turn;
  const word = sound.word(0, script.fault?.kind === "wrong-rate");
  // The word's second half is silent at either rate, and begins where a frame does.
  const silence = word.subarray(word.length / 2);
  await send(turn, soundFrame({ requestId, streamId, type: sound.type }, silence));
}

/** Plays the script's fault if its time has come. Returns true if the turn is over with it. */
async function playFaultAt(turn: SpeechTurn, words: number): Promise<boolean> {
  const { fault } = turn.script;
  if (!fault || fault.kind === "drip" || fault.kind === "wrong-rate") return false;
  if (words < (fault.afterParts ?? 0)) return false;
  const { socket, requestId } = turn;
  switch (fault.kind) {
    case "refuse":
    case "cut":
      socket.terminate();
      return true;
    case "unauthorized":
      socket.close(4401, "The key is not valid.");
      return true;
    case "forbidden":
      socket.close(4403, "The key may not do this.");
      return true;
    case "rate-limit":
      socket.close(4429, "The request is throttled: too many concurrent requests.");
      return true;
    case "quota":
      socket.close(1007, "Quota exceeded.");
      return true;
    case "html-500":
      socket.close(1011, "Internal server error.");
      return true;
    case "malformed":
      await send(turn, textFrame("audio.metadata", requestId, '{"Metadata":[{"Type":"Wo'));
      return true;
    case "empty":
      await send(turn, textFrame("turn.end", requestId, {}));
      return true;
    default:
      await rest(2 ** 30, turn.left);
      return true;
  }
}

/** Sends, and waits until the client's side takes it. */
function send({ socket, left }: SpeechTurn, frame: string | Uint8Array): Promise<void> {
  if (left.aborted) return Promise.resolve();
  return new Promise((resolve) => socket.send(frame, () => resolve()));
}

async function rest(waitMs: number | undefined, signal: AbortSignal): Promise<void> {
  if (waitMs) await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
}
