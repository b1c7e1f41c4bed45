import { setTimeout as sleep } from "node:timers/promises";
import { abortable, onAbort, throwIfAborted } from "../core/async.ts";
import type { PromptContext } from "../models/language-model.ts";
import type { KeptTurn } from "../storage/records.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import { type AdmissionParts, admit, recall } from "./admission.ts";
import { playMs } from "./chunk-samples.ts";
import { listenTo } from "./heard-turns.ts";
import { TurnMoved } from "./owned-turn.ts";
import { type ReplyTiers, replySegments, type Segment, type TurnChunk } from "./reply.ts";
import { charge, createTurnTokens } from "./turn-charge.ts";
import type { TurnClock } from "./turn-clock.ts";
import { createTurnRecord, readSegment, type TurnRecord } from "./turn-record.ts";
import type { TurnRequest } from "./turn-request.ts";

/** The names of a turn that was admitted. */
export type TurnIds = { readonly turnId: string; readonly sessionId: string };

/** Hears about a turn what its chunks do not say. */
export type TurnListener = {
  /** The turn was admitted. Called before its first chunk. */
  readonly onBegin?: (ids: TurnIds) => void;
  /** The reply broke off and no tier could continue it. Called before the last chunk was pulled. */
  readonly onPartial?: () => void;
  /** Called with what a model has heard so far of a prompt that came as sound. */
  readonly onHeard?: (words: string) => void;
  /**
   * Called once the turn is listed, and awaited before it is admitted. Rejects if the turn is another
   * instance's.
   */
  readonly untilOwned?: () => Promise<void>;
  /** The turn was admitted: its signal. */
  readonly onAdmitted?: (signal: AbortSignal) => void;
  /** Awaited before the turn counts as sent. Rejects when the signal fires. */
  readonly untilSent?: () => Promise<void>;
  /** A turn that can be resumed has ended well. Called before the last chunk was pulled. */
  readonly onEnd?: (end: TurnEnd) => void;
};

/** The end of a turn that can be resumed. */
export type TurnEnd = {
  /** True if the turn was a greeting. */
  readonly isVerbatim: boolean;
  /** The number of the end message. */
  readonly sequence: number;
};

/** How long a turn that can be resumed waits for its client, in milliseconds. */
export const RESUME_GRACE_MS = 30_000;

/** Who hears a turn. */
type TurnClient = { readonly clientSignal: AbortSignal; readonly listener: TurnListener };

/** What turns are made of. */
export type TurnParts = AdmissionParts & { readonly tiers: ReplyTiers };

/** A turn that was admitted. */
export type OpenTurn = {
  /** Recalls what the prompt needs, and starts the reply. */
  start(): Promise<AsyncIterable<Segment>>;
  /** Reads what of a segment leaves together; undefined at its end. */
  open(segment: Segment): { next(): Promise<readonly TurnChunk[] | undefined> };
  /** The chunks as the client gets them. Throws once the signal has fired. */
  see(chunks: readonly TurnChunk[]): readonly TurnChunk[];
  /** The client has read the chunks. */
  resume(): void;
  endSegment(segment: Segment): void;
  /** Resolves when the reply is kept. Rejects if it lacks its voice, or when the signal fires. */
  complete(): Promise<void>;
  /** Reports the turn and releases everything. Only the first call counts. */
  end(error?: unknown): void;
  /** Nothing more can leave. */
  fallSilent(): void;
};

/**
 * Shares of a turn's time in which all language tiers but the last must have begun, and all speech tiers
 * but the last for each sentence: 10.5 and 4.5 s by default, so that tiers that hang leave half of it.
 */
const TEXT_SHARE = 0.35;
const SPEECH_SHARE = 0.15;

/**
 * Admits a turn. Its segments run ahead of the reader: every stage is pulled by the one after it, so a
 * slow client slows the providers.
 */
export async function openTurn(
  parts: TurnParts,
  request: TurnRequest,
  client: TurnClient,
): Promise<OpenTurn> {
  const { signal, session, time, kept, finish, follow } = await admit(parts, request, client);
  client.listener.onAdmitted?.(signal);
  const scope = new AbortController();
  const forget = onAbort(signal, (reason) => scope.abort(reason));
  const { observer, tiers, tokens, onGap, sentences } = observeTurn(parts, request, session);
  const onEnd = (report: TurnReport) => {
    finish(report, record.read().reply);
    observer.onEnd?.(report, record.sound());
    charge(parts, request, { playback: record.playback, tokens });
  };
  const start = { sessionId: session.sessionId, continues: request.continues, tokens };
  const record = createTurnRecord(start, onEnd, observer.onFirst);
  if (kept) follow(listenTo(record, kept, request.prompt.text.length, observer.onCutAfterSent));
  const end = createEnd(record, kept);
  // A turn parked in a write to a client that disconnected never reaches `finally`.
  signal.addEventListener("abort", () => end(signal.reason), { once: true });
  let readMs = 0;
  return {
    async start() {
      const context = await recall(parts, request, { session, signal });
      const reply = { ...request, context, sentences, time, record, listener: client.listener };
      return startReply(tiers, reply, scope.signal);
    },
    open: (segment) => openSegment(segment, { ...request, record, time, signal }),
    see(chunks) {
      throwIfAborted(signal);
      if (onGap && record.hasSounded()) onGap(performance.now() - readMs);
      time.pause(playMs(chunks));
      return chunks.map(record.see);
    },
    resume() {
      readMs = performance.now();
      time.resume();
    },
    endSegment({ text }) {
      record.playback.endSegment();
      if (text !== undefined) sentences.end();
    },
    async complete() {
      throwIfAborted(signal);
      if (client.listener.untilSent) {
        time.pause(RESUME_GRACE_MS);
        await client.listener.untilSent();
      }
      record.complete();
      // What the client sees end survives the death of the process.
      if (kept) await abortable(kept.write(record.read()), signal);
    },
    end(error) {
      forget();
      // Releases what was made ahead, if the turn ends early.
      scope.abort();
      end(error);
    },
    fallSilent: () => observer.onSilent?.(),
  };
}

/** What ends a turn once, and keeps what was said of one that did not come to its end here. */
function createEnd(record: TurnRecord, kept: KeptTurn | undefined) {
  return (error?: unknown) => {
    if (record.hasEnded()) return;
    record.end(error);
    // A turn that came to its end was kept before.
    if (error !== undefined && !(error instanceof TurnMoved)) void kept?.write(record.read());
  };
}

/** Begins to follow a turn, and has its tiers followed. Sound that is held back makes no gap. */
function observeTurn(
  { observe, tiers }: TurnParts,
  { turnId, leadMs }: TurnRequest,
  { sessionId }: { readonly sessionId: string },
) {
  const observer = observe?.({ turnId, sessionId }) ?? {};
  const onGap = leadMs === undefined ? observer.onGap : undefined;
  const sentences = {
    sent: 0,
    end() {
      sentences.sent += 1;
      observer.onSentence?.(sentences.sent);
    },
  };
  const followed = { ...tiers, ...observer.tiers };
  const tokens = createTurnTokens(followed.onCall);
  return { observer, onGap, sentences, tokens, tiers: { ...followed, onCall: tokens.onCall } };
}

type Reply = TurnRequest & {
  readonly context: PromptContext;
  readonly sentences: { readonly sent: number };
  readonly time: TurnClock;
  readonly record: TurnRecord;
  readonly listener: TurnListener;
};

function startReply(tiers: ReplyTiers, reply: Reply, signal: AbortSignal) {
  const { deviceId, turnId, prompt, verbatim, voice, context, sentences, time, record } = reply;
  const request = {
    prompt: { ...prompt, turnId, ...context },
    verbatim,
    textOnly: reply.textOnly === true,
    ...(reply.continues && { continues: reply.continues }),
    voice: { ...voice, queueKey: deviceId ?? Symbol("a text without a device") },
    sent: () => sentences.sent,
    isMute: record.isMute,
    onPartial(cause: Error) {
      record.breakOff(cause);
      reply.listener.onPartial?.();
    },
    onHeard: reply.listener.onHeard,
    textTime: { toBeginMs: time.maxMs * TEXT_SHARE, leftMs: time.leftMs },
    speechTime: { toBeginMs: time.maxMs * SPEECH_SHARE, leftMs: time.leftMs },
  };
  return replySegments(tiers, request, signal);
}

type Sending = {
  readonly record: TurnRecord;
  readonly time: TurnClock;
  readonly signal: AbortSignal;
  readonly leadMs?: number;
};

/** Its text, then its sound while there is a voice. The first sound leaves alone. */
function openSegment(segment: Segment, { record, time, signal, leadMs }: Sending) {
  const batches = readSegment(segment, record.isMute, (error) => {
    throwIfAborted(signal);
    record.mute(error);
  });
  const ready: (readonly TurnChunk[])[] = [];
  const split = (batch: readonly TurnChunk[]) => {
    // What is held back leaves chunk by chunk.
    if (leadMs) return batch.map((chunk) => [chunk]);
    if (record.hasSounded() || batch.length === 1) return [batch];
    return [batch.slice(0, 1), batch.slice(1)];
  };
  /** Waits until the chunks are no more than `leadMs` ahead of what is heard, or next in turn. */
  const hold = async (chunks: readonly TurnChunk[], leadMs: number) => {
    const ownMs = playMs(chunks);
    const waitMs = record.playback.aheadMs() + ownMs - Math.max(leadMs, ownMs);
    if (waitMs <= 0) return;
    time.pause(0);
    await sleep(waitMs, undefined, { signal }).catch(() => throwIfAborted(signal));
    time.resume();
  };
  const nextApart = async () => {
    if (ready.length === 0) {
      const batch = await batches.next();
      if (batch) ready.push(...split(batch));
    }
    const chunks = ready.shift();
    if (chunks && leadMs) await hold(chunks, leadMs);
    return chunks;
  };
  return {
    /** Once there was sound, batches leave as they come. */
    next: () =>
      ready.length === 0 && !leadMs && record.hasSounded() ? batches.next() : nextApart(),
  };
}
