import { Captions } from "./captions.ts";
import { Envelope } from "./envelope.ts";
import { explain, type Failure } from "./failure.ts";
import type { ReplyAudio, ReplyEvent } from "./gateway.ts";
import type { Playing } from "./player.ts";

/** A turn as far as it has come. */
export type Turn = {
  readonly startedAtMs: number;
  readonly captions: Captions;
  readonly envelope: Envelope;
  text: string;
  bytes: number;
  /** From the start to the first text and to the first audio; undefined until then. */
  ttftMs: number | undefined;
  ttfaMs: number | undefined;
  /** The voice, from its first audio on, where there is sound. */
  playing: Playing | undefined;
};

const utf8 = new TextEncoder();

/** A turn that starts now. */
export function createTurn(): Turn {
  return {
    startedAtMs: performance.now(),
    captions: new Captions(),
    envelope: new Envelope(),
    text: "",
    bytes: 0,
    ttftMs: undefined,
    ttfaMs: undefined,
    playing: undefined,
  };
}

/**
 * Receives a reply into the turn until the gateway has sent all of it, and flags the voice's end:
 * it goes on sounding. `openVoice` is asked at the first audio. Returns what went wrong, or nothing.
 * Never throws.
 */
export async function runTurn(
  turn: Turn,
  events: AsyncIterable<ReplyEvent>,
  openVoice: () => Promise<Playing | undefined>,
): Promise<Failure | undefined> {
  let told: string | undefined;
  try {
    for await (const event of events) {
      if (event.type === "trouble") told = event.message;
      else if (event.type === "text") takeText(turn, event.text);
      else await takeAudio(turn, event, openVoice);
    }
    return undefined;
  } catch (error) {
    return explain(error, told, turn.bytes > 0);
  } finally {
    turn.captions.end();
    turn.playing?.end();
  }
}

function takeText(turn: Turn, text: string): void {
  turn.ttftMs ??= performance.now() - turn.startedAtMs;
  turn.text += text;
  turn.bytes += utf8.encode(text).length;
  turn.captions.addText(text);
}

async function takeAudio(
  turn: Turn,
  { pcm, words }: ReplyAudio,
  openVoice: () => Promise<Playing | undefined>,
): Promise<void> {
  if (turn.ttfaMs === undefined) {
    turn.ttfaMs = performance.now() - turn.startedAtMs;
    turn.playing = await openVoice();
  }
  turn.bytes += pcm.byteLength;
  turn.envelope.push(pcm);
  if (!turn.playing) return;
  turn.captions.addAudio(pcm.length, words);
  turn.playing.write(pcm);
}
