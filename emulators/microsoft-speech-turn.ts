import { setTimeout } from "node:timers/promises";
import type { WebSocket } from "ws";
import { audioFrame, boundariesOf, readDocument, textFrame } from "./microsoft-speech-messages.ts";
import { toneSeconds, wordSeconds } from "./microsoft-speech-tones.ts";
import type { EmulatorScript } from "./script.ts";

/** The audio of a service. */
export type WordAudio = {
  /** The content type of its messages. */
  readonly type: string;
  /** The tone of a word; at a wrong rate if `isWrong`. */
  readonly word: (at: number, isWrong: boolean) => Uint8Array;
};

/** A document being spoken. */
export type SpeechTurn = {
  readonly socket: WebSocket;
  readonly requestId: string;
  readonly ssml: string;
  readonly script: EmulatorScript;
  readonly audio: WordAudio;
  /** Fires when the client disconnects. */
  readonly left: AbortSignal;
};

const ticksPerSecond = 10_000_000;

/** Speaks a document, with the script's delays and fault. Stops when the client disconnects. */
export async function playTurn(turn: SpeechTurn): Promise<void> {
  const { requestId, script } = turn;
  const document = readOrRefuse(turn);
  if (!document) return;
  const streamId = requestId.split("").reverse().join("");
  await send(turn, textFrame("turn.start", requestId, { context: { serviceTag: requestId } }));
  const stream = { type: "inline", streamId };
  await send(turn, textFrame("response", requestId, { context: {}, audio: stream }));
  await rest(script.firstPartMs, turn.left);
  const boundaries = createBoundaries(turn);
  let words = 0;
  for (const { text, isWord } of boundariesOf(document.text)) {
    if (turn.left.aborted || (await playFaultAt(turn, words))) return;
    if (isWord && words > 0) await rest(script.partMs, turn.left);
    const boundary = textFrame("audio.metadata", requestId, metadata(text, isWord, words));
    await boundaries.before(boundary);
    if (isWord) await sendAudio(turn, streamId, words);
    await boundaries.behind(boundary, isWord);
    words += isWord ? 1 : 0;
  }
  await boundaries.end();
  if (await playFaultAt(turn, Number.POSITIVE_INFINITY)) return;
  // The service ends with a short silence.
  if (words > 0) await sendSilence(turn, streamId);
  await send(turn, textFrame("turn.end", requestId, {}));
}

/** Sends the boundaries when the script says. */
function createBoundaries(turn: SpeechTurn) {
  const { timings } = turn.script;
  let waiting: string[] = [];
  const sendAll = async (frames: readonly string[]) => {
    for (const frame of frames) await send(turn, frame);
  };
  return {
    before: (frame: string) => sendAll(timings === undefined ? [frame] : []),
    async behind(frame: string, isWord: boolean) {
      if (timings === "late") await sendAll([frame]);
      if (timings !== "shuffled" || !isWord) return;
      waiting = [frame, ...waiting];
      if (waiting.length === 2) await sendAll(waiting.splice(0));
    },
    end: () => sendAll(waiting),
  };
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

async function sendAudio(turn: SpeechTurn, streamId: string, word: number): Promise<void> {
  const { script, audio, requestId } = turn;
  const spoken = audio.word(word, script.fault?.kind === "wrong-rate");
  const bytes = script.silent ? silenceOf(spoken) : spoken;
  const head = { requestId, streamId, type: audio.type };
  // A message for every byte would take seconds: only the first bytes are sent alone.
  const single = script.fault?.kind === "drip" ? 301 : 0;
  for (let at = 0; at < single && !turn.left.aborted; at++) {
    await send(turn, audioFrame(head, bytes.subarray(at, at + 1)));
  }
  await send(turn, audioFrame(head, bytes.subarray(single)));
}

/** A silence as long as a word, whose second half is silent at either rate and begins at a frame. */
function silenceOf(word: Uint8Array): Uint8Array {
  const half = word.subarray(word.length / 2);
  return Buffer.concat([half, half]);
}

async function sendSilence(turn: SpeechTurn, streamId: string): Promise<void> {
  const { audio, requestId, script } = turn;
  const word = audio.word(0, script.fault?.kind === "wrong-rate");
  // The second half of a word is silent at either rate, and begins at a frame.
  const silence = word.subarray(word.length / 2);
  await send(turn, audioFrame({ requestId, streamId, type: audio.type }, silence));
}

/** Plays the script's fault if it is due. Returns true if that ends the turn. */
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

/** Sends a frame, and waits until it is written. */
function send({ socket, left }: SpeechTurn, frame: string | Uint8Array): Promise<void> {
  if (left.aborted) return Promise.resolve();
  return new Promise((resolve) => socket.send(frame, () => resolve()));
}

async function rest(waitMs: number | undefined, signal: AbortSignal): Promise<void> {
  if (waitMs) await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
}
