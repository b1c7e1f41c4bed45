import { Captions } from "./captions.ts";
import { Envelope } from "./envelope.ts";
import { explain, type Failure } from "./failure.ts";
import { heldAheadMs, type ReplyAudio, type ReplyEvent, type ReplySource } from "./gateway.ts";
import { Recording } from "./recording.ts";
import { sampleRateHz } from "./ring-messages.ts";
import { Timeline } from "./timeline.ts";
import type { Playing } from "./voice.ts";

/** A turn as far as it has come. */
export type Turn = {
  readonly startedAtMs: number;
  readonly captions: Captions;
  readonly envelope: Envelope;
  readonly recording: Recording;
  readonly timeline: Timeline;
  text: string;
  bytes: number;
  /** From the start to the first text and to the first audio; undefined until then. */
  ttftMs: number | undefined;
  ttfaMs: number | undefined;
  /** What came before the gateway began to hold back, and when the last of it did, from the start. */
  unheld: { readonly bytes: number; readonly lastMs: number };
  /** The voice, from its first audio on, where there is sound. */
  playing: Playing | undefined;
  /** The reply broke off, and no tier could go on. */
  partial: boolean;
};

/** What a turn asks of the page. */
export type TurnEvents = {
  /** Asked at the first audio. */
  openVoice(recording: Recording): Promise<Playing | undefined>;
  /** Another tier writes or speaks. `before` is the one that did so until now, in this turn. */
  onSource(source: ReplySource, before: string | undefined): void;
};

/** So much sound comes as fast as it is made and the line carries it. */
const unheldSamples = (heldAheadMs * sampleRateHz) / 1000;

const utf8 = new TextEncoder();

/** A turn that the user sent at this time of the page's clock. */
export function createTurn(startedAtMs = performance.now()): Turn {
  return {
    startedAtMs,
    captions: new Captions(),
    envelope: new Envelope(),
    recording: new Recording(),
    timeline: new Timeline(startedAtMs),
    text: "",
    bytes: 0,
    ttftMs: undefined,
    ttfaMs: undefined,
    unheld: { bytes: 0, lastMs: 0 },
    playing: undefined,
    partial: false,
  };
}

/**
 * Receives a reply into the turn until the gateway has sent all of it, and flags the voice's end:
 * it goes on sounding. Returns what went wrong, or nothing. Never throws.
 */
export async function runTurn(
  turn: Turn,
  events: AsyncIterable<ReplyEvent>,
  on: TurnEvents,
): Promise<Failure | undefined> {
  let told: string | undefined;
  let failure: Failure | undefined;
  const sources = new Map<string, string>();
  try {
    for await (const event of events) {
      turn.timeline.take(event);
      if (event.type === "trouble") told = event.message;
      else if (event.type === "text") takeText(turn, event.text);
      else if (event.type === "audio") await takeAudio(turn, event, on);
      else if (event.type === "end") turn.partial = event.partial;
      else if (event.type === "source") {
        on.onSource(event, sources.get(event.kind));
        sources.set(event.kind, event.tier);
      }
    }
  } catch (error) {
    failure = explain(error, told, turn.bytes > 0);
  }
  turn.timeline.end(failure?.title);
  turn.captions.end();
  turn.playing?.end();
  return failure;
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
  { openVoice }: TurnEvents,
): Promise<void> {
  const isFirst = turn.ttfaMs === undefined;
  turn.ttfaMs ??= performance.now() - turn.startedAtMs;
  turn.bytes += pcm.byteLength;
  turn.envelope.push(pcm);
  turn.recording.push(pcm);
  if (isFirst) turn.playing = await openVoice(turn.recording);
  turn.playing?.write(pcm);
  if (turn.recording.samples <= unheldSamples) {
    turn.unheld = { bytes: turn.bytes, lastMs: performance.now() - turn.startedAtMs };
  }
  turn.captions.addAudio(pcm.length, words);
}
