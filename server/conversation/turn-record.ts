import { TurnCancelled } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { NoProviderLeft } from "../core/errors.ts";
import type { Source } from "../failover/tiers.ts";
import type { TurnState } from "../storage/records.ts";
import type { TurnReport } from "../telemetry/activity.ts";
import type { TurnSound } from "../telemetry/turn-observer.ts";
import type { Continuation } from "./continuation.ts";
import { createPlayback, type Playback } from "./playback.ts";
import type { Segment, TurnChunk } from "./reply.ts";
import type { TurnTokens } from "./turn-charge.ts";

/** What is known of a turn as its chunks pass: its times, its words, who made it and how it ends. */
export type TurnRecord = {
  /** The chunk as the client gets it: words in the turn's time, a source only where it changes. */
  see(chunk: TurnChunk): TurnChunk;
  hasSounded(): boolean;
  /**
   * No voice is left: the rest comes as text. Where none speaks the language, the sentence alone does.
   * Throws any other error.
   */
  mute(error: unknown): void;
  isMute(): boolean;
  /** The reply broke off, and is ended with what there is of it. */
  breakOff(cause: Error): void;
  /** The reply came to its end: all of it was sent. Throws if it lacks its voice. */
  complete(): void;
  /** Whether more may be sent. */
  isSending(): boolean;
  /** What is kept of the turn: as it ended, or as it would if it came to its end now. */
  read(): TurnState;
  /** The turn is over. Only the first call counts. */
  end(error?: unknown): void;
  /** What was sent of the turn, and what of it is heard, as far as that is known at its end. */
  sound(): TurnSound;
  /** How the turn is heard. */
  readonly playback: Playback;
  /** Whether the turn has ended. */
  hasEnded(): boolean;
  /** The user cut the turn after it was sent. */
  cut(): void;
};

/** What a record starts with. */
type RecordStart = {
  readonly sessionId: string;
  /** What another instance said before. */
  readonly continues: Continuation | undefined;
  readonly tokens: Pick<TurnTokens, "read">;
};

/** Starts a record. `onEnd` is called once, with the report; `onFirst` with the first text and sound. */
export function createTurnRecord(
  { sessionId, continues, tokens }: RecordStart,
  onEnd: (report: TurnReport) => void,
  onFirst?: (kind: TurnChunk["type"], afterMs: number) => void,
): TurnRecord {
  const startMs = performance.now();
  const since = () => Math.round((performance.now() - startMs) * 10) / 10;
  const first = createFirsts(since, onFirst);
  const sources = createSources(continues?.tiers);
  const playback = createPlayback(undefined, continues);
  let tellEnd: ((report: TurnReport) => void) | undefined = onEnd;
  let muted: NoProviderLeft | undefined;
  let partial: Error | undefined;
  let ended: TurnReport | undefined;
  let isComplete = false;
  let isCut = false;
  const reportOf = (error?: unknown): TurnReport => ({
    sessionId,
    ...first.times,
    durationMs: since(),
    ...outcomeOf(error, partial),
  });
  return {
    see(chunk) {
      first.note(chunk.type);
      return sources.note(playback.send(chunk));
    },
    hasSounded: () => first.times.ttfaMs !== undefined,
    mute(error) {
      if (!(error instanceof NoProviderLeft)) throw error;
      if (!muted || muted.isOfLanguage) muted = error;
    },
    // A sentence that no voice speaks says nothing of the next one.
    isMute: () => muted !== undefined && !muted.isOfLanguage,
    breakOff(cause) {
      partial = cause;
    },
    complete() {
      if (muted) throw muted;
      isComplete = true;
      playback.endSending();
    },
    isSending: () => !isComplete && ended === undefined,
    read: () => ({
      ...stateOf(playback, ended ?? reportOf(), isCut),
      ...tokens.read(),
      tiers: sources.tiers(),
    }),
    end(error) {
      if (ended) return;
      ended = reportOf(error);
      playback[wasCut(ended) ? "stop" : "endSending"]();
      tellEnd?.(ended);
      // The record outlives the turn; who hears of its end holds all of it.
      tellEnd = undefined;
    },
    sound: () => soundOf(playback, ended),
    playback,
    hasEnded: () => ended !== undefined,
    cut() {
      isCut = true;
      playback.stop();
    },
  };
}

/** Notes when the first text and sound left. */
function createFirsts(
  since: () => number,
  onFirst: ((kind: TurnChunk["type"], afterMs: number) => void) | undefined,
) {
  const times: { ttftMs?: number; ttfaMs?: number } = {};
  const note = (kind: TurnChunk["type"]) => {
    const key = kind === "audio" ? "ttfaMs" : "ttftMs";
    if (times[key] !== undefined) return;
    times[key] = since();
    onFirst?.(kind, times[key]);
  };
  return { times, note };
}

function soundOf(playback: Playback, ended: TurnReport | undefined): TurnSound {
  const sentSeconds = playback.sent().samples / outputRateHz;
  const isHeard = ended !== undefined && !wasCut(ended);
  const heardSeconds = isHeard ? sentSeconds : playback.heard().samples / outputRateHz;
  return { sentSeconds, heardSeconds };
}

/** The user did not hear the rest. After any other end all that was sent is played. */
function wasCut({ outcome }: TurnReport): boolean {
  return outcome === "interrupted" || outcome === "disconnected";
}

function stateOf(playback: Playback, report: TurnReport, isCut: boolean): Omit<TurnState, "tiers"> {
  const { text, samples } = playback.sent();
  return {
    reply: text,
    status: isCut ? "interrupted" : report.outcome,
    sentSamples: samples,
    ...heardOf(playback, { isCut: isCut || wasCut(report), isBroken: wasCut(report) }),
    ...timesOf(report),
  };
}

/** What is kept of what was heard: nothing if that was all of a reply that came to its end. */
function heardOf(
  playback: Playback,
  { isCut, isBroken }: { readonly isCut: boolean; readonly isBroken: boolean },
): Pick<TurnState, "heard" | "heardSamples"> {
  if (!isCut && !playback.isReported()) return {};
  const { text, samples, isAll } = playback.heard();
  return isAll && !isBroken ? {} : { heard: text, heardSamples: samples };
}

/** The times that are known, in whole milliseconds. */
function timesOf({ ttftMs, ttfaMs, durationMs }: TurnReport) {
  return {
    ...(ttftMs !== undefined && { ttftMs: Math.round(ttftMs) }),
    ...(ttfaMs !== undefined && { ttfaMs: Math.round(ttfaMs) }),
    durationMs: Math.round(durationMs),
  };
}

function outcomeOf(
  error: unknown,
  partial: Error | undefined,
): Pick<TurnReport, "outcome" | "error"> {
  if (error === undefined)
    return partial ? { outcome: "partial", error: partial } : { outcome: "done" };
  if (error instanceof TurnCancelled) return { outcome: error.reason };
  return { outcome: "failed", error: error instanceof Error ? error : new Error(String(error)) };
}

/** Keeps a source on the first chunk of each tier in a turn, and drops it from the others. */
function createSources(before?: Continuation["tiers"]) {
  const last = { ...before };
  const tiers = new Set<string>();
  const changed = (kind: "text" | "speech", source: Source): Source | undefined => {
    const from = last[kind];
    if (from === source.tier) return undefined;
    last[kind] = source.tier;
    return from === undefined ? source : { from, reason: "circuit_open", ...source };
  };
  return {
    note(chunk: TurnChunk): TurnChunk {
      if (!chunk.source) return chunk;
      const { source, ...rest } = chunk;
      tiers.add(source.tier);
      const told = changed(chunk.type === "text" ? "text" : "speech", source);
      return told ? { ...rest, source: told } : rest;
    },
    /** All that made something, in the order of their first. */
    tiers: () => [...tiers],
  };
}

/** Reads what a segment has. If its sound fails, `onMute` throws the error or takes it as the end. */
export function readSegment(
  { text, source, chunks }: Segment,
  isMute: () => boolean,
  onMute: (error: unknown) => void,
) {
  const sound = chunks?.[Symbol.asyncIterator]();
  let first: TurnChunk | undefined =
    text === undefined ? undefined : { type: "text", text, ...(source && { source }) };
  const none = Promise.resolve(undefined);
  const take = ({ done, value }: IteratorResult<readonly TurnChunk[], undefined>) =>
    done ? undefined : value;
  const fail = (error: unknown) => {
    onMute(error);
    return undefined;
  };
  return {
    // Not an async function: every chunk passes, and would pay for it.
    next(): Promise<readonly TurnChunk[] | undefined> {
      if (first) {
        const only = [first];
        first = undefined;
        return Promise.resolve(only);
      }
      return sound && !isMute() ? sound.next().then(take, fail) : none;
    },
  };
}
