import { abortable, onAbort, TurnCancelled, throwIfAborted } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { OutOfRange } from "../core/errors.ts";
import type { TurnChunk } from "./reply.ts";

/** A chunk with its number in the turn, from 1. */
type NumberedChunk = TurnChunk & { readonly sequence: number };

/** What a reader hears of its buffer. */
type BufferListener = {
  /** A client reads from now on. */
  readonly onAttach: () => void;
  /** No client reads any more. Called after each `onAttach`, unless another client reads by then. */
  readonly onDetach: () => void;
  /** So many bytes more are kept, or fewer. */
  readonly onBytes: (change: number) => void;
};

/**
 * The chunks of a turn that its client may not have received yet: 2 MiB at most. One writer, and one
 * reader at a time; a new reader ends the one before it.
 */
export type TurnBuffer = {
  /** Numbers the chunks and keeps them. */
  push(chunks: readonly TurnChunk[]): void;
  /**
   * Resolves when more may be made: a client reads and has taken all there is, or none reads, and there
   * is room. What a client took, and has played by the clock, makes room. Throws the error of `fail`.
   */
  untilRoom(): Promise<void>;
  /** Resolves when a client has taken all that was pushed. Throws the error of `fail`. */
  untilTaken(): Promise<void>;
  /**
   * The chunks behind the number `after`, in batches of 1 s of sound at most; the first sound comes
   * alone. Throws `OutOfRange` if they are not kept, or not yet made, and what `fail` was given.
   */
  read(after: number, clientSignal: AbortSignal): AsyncGenerator<readonly TurnChunk[]>;
  /** The client has played so many samples, and will not ask for them again. */
  confirm(samples: number): void;
  /** No more comes. */
  end(): void;
  /** The turn failed. If it was cancelled, nothing that is left is read any more. */
  fail(error: unknown): void;
  /** Drops what a client that reads has taken, to make room for other turns. */
  shed(): void;
  isAttached(): boolean;
  hasEnded(): boolean;
  /** Bytes that are kept, about. */
  bytes(): number;
  /** The number of the last chunk that was pushed; 0 if none was. */
  last(): number;
  /** The samples that the client has played by the clock; undefined if it was sent all there is. */
  playedOfPart(): number | undefined;
};

/** The most bytes that a turn keeps. */
export const MAX_TURN_BYTES = 2 * 1024 * 1024;

/** Sound of one batch, in samples: 1 s. */
const SAMPLES_A_BATCH = outputRateHz;
/** More than a batch takes, its words included. */
const BATCH_BYTES = 128 * 1024;
const SAMPLES_A_MS = outputRateHz / 1000;

type Entry = {
  readonly chunk: NumberedChunk;
  readonly bytes: number;
  /** Samples of the turn up to its end. */
  readonly endSample: number;
  /** When it will have been played, once it was sent. */
  playedMs: number;
};

/** Makes the buffer of a turn that has not begun. `now` reads a monotonic clock, in milliseconds. */
export function createTurnBuffer(
  { onAttach, onDetach, onBytes }: BufferListener,
  now = () => performance.now(),
): TurnBuffer {
  const kept = createEntries(now, onBytes);
  let reader: object | undefined;
  /** The number of the last chunk that the present client took. */
  let taken = 0;
  let ended: { readonly error?: unknown } | undefined;
  let news = Promise.withResolvers<void>();
  const wake = () => {
    news.resolve();
    news = Promise.withResolvers();
  };
  const throwIfFailed = () => {
    if (ended && "error" in ended) throw ended.error;
  };
  /** Milliseconds until there may be room; 0 if there is. */
  const waitMs = () => {
    if (reader && taken < kept.last()) return Number.POSITIVE_INFINITY;
    if (reader) kept.dropPlayed(taken);
    if (kept.bytes() + BATCH_BYTES <= MAX_TURN_BYTES) return 0;
    return reader ? Math.max(1, kept.firstPlayedMs() - now()) : Number.POSITIVE_INFINITY;
  };
  const detach = (self: object) => {
    if (reader !== self) return;
    reader = undefined;
    wake();
    onDetach();
  };
  const throwIfOver = (self: object) => {
    if (reader !== self) throw new TurnCancelled("disconnected");
    if (isCancelled(ended)) throwIfFailed();
  };

  async function* batches(self: object, clientSignal: AbortSignal) {
    for (let at = taken; ; ) {
      throwIfOver(self);
      const chunks = kept.behind(at);
      if (chunks.length > 0) {
        at += chunks.length;
        kept.send(at);
        yield chunks;
        throwIfOver(self);
        taken = at;
        wake();
      } else if (ended) {
        throwIfFailed();
        return;
      } else {
        await abortable(news.promise, clientSignal);
      }
    }
  }

  return {
    push(chunks) {
      if (ended) return;
      kept.add(chunks);
      wake();
    },
    async untilRoom() {
      for (;;) {
        throwIfFailed();
        const ms = waitMs();
        if (ms === 0) return;
        const timer = Number.isFinite(ms) ? setTimeout(wake, ms) : undefined;
        await news.promise;
        clearTimeout(timer);
      }
    },
    async untilTaken() {
      for (;;) {
        throwIfFailed();
        if (reader && taken === kept.last()) return;
        await news.promise;
      }
    },
    async *read(after, clientSignal) {
      throwIfAborted(clientSignal);
      if (isCancelled(ended)) throwIfFailed();
      kept.checkPosition(after);
      kept.dropUpTo(after);
      const self = {};
      reader = self;
      taken = after;
      wake();
      onAttach();
      // A client that has gone is noticed by its signal: its reader may be parked in a write.
      const forget = onAbort(clientSignal, () => detach(self));
      try {
        yield* batches(self, clientSignal);
      } finally {
        forget();
        detach(self);
      }
    },
    confirm(samples) {
      kept.dropHeard(samples);
      wake();
    },
    end() {
      ended ??= {};
      wake();
    },
    fail(error) {
      const isOver = ended && (isCancelled(ended) || !isCancelled({ error }));
      if (!isOver) ended = { error };
      if (isCancelled(ended)) kept.dropUpTo(kept.last());
      wake();
    },
    shed() {
      if (reader) kept.dropUpTo(taken);
    },
    isAttached: () => reader !== undefined,
    hasEnded: () => ended !== undefined,
    bytes: kept.bytes,
    last: kept.last,
    playedOfPart: kept.playedOfPart,
  };
}

function isCancelled(ended: { readonly error?: unknown } | undefined): boolean {
  return ended?.error instanceof TurnCancelled;
}

/** The numbered chunks that are kept, and how far they were sent and played. */
function createEntries(now: () => number, onBytes: (change: number) => void) {
  const entries: Entry[] = [];
  let bytes = 0;
  const count = (change: number) => {
    bytes += change;
    onBytes(change);
  };
  let last = 0;
  let lastSample = 0;
  let sent = { sequence: 0, samples: 0, playedMs: 0 };
  let firstSound: number | undefined;
  const dropWhile = (isDropped: (entry: Entry) => boolean) => {
    const end = entries.findIndex((entry) => {
      if (!isDropped(entry)) return true;
      count(-entry.bytes);
      return false;
    });
    entries.splice(0, end === -1 ? entries.length : end);
  };
  const first = () => last - entries.length + 1;
  return {
    add(chunks: readonly TurnChunk[]) {
      for (const chunk of chunks) {
        last += 1;
        if (chunk.type === "audio") {
          lastSample += chunk.pcm.length;
          firstSound ??= last;
        }
        const entry = { chunk: { ...chunk, sequence: last }, bytes: bytesOf(chunk) };
        entries.push({ ...entry, endSample: lastSample, playedMs: 0 });
        count(entry.bytes);
      }
    },
    /** The next batch behind a number; empty if there is none. */
    behind(after: number): readonly NumberedChunk[] {
      const batch: NumberedChunk[] = [];
      let samples = 0;
      for (let at = after + 1 - first(); at < entries.length; at++) {
        const { chunk } = entries[at] as Entry;
        samples += chunk.type === "audio" ? chunk.pcm.length : 0;
        if (batch.length > 0 && samples > SAMPLES_A_BATCH) break;
        batch.push(chunk);
        if (chunk.sequence === firstSound) break;
      }
      return batch;
    },
    /** Chunks up to this number leave for the client, which plays them one after another. */
    send(upTo: number) {
      for (let at = Math.max(0, sent.sequence + 1 - first()); at <= upTo - first(); at++) {
        const entry = entries[at] as Entry;
        const playedMs =
          Math.max(now(), sent.playedMs) + (entry.endSample - sent.samples) / SAMPLES_A_MS;
        entry.playedMs = playedMs;
        sent = { sequence: entry.chunk.sequence, samples: entry.endSample, playedMs };
      }
    },
    /** Throws `OutOfRange` if a client cannot go on behind this number. */
    checkPosition(after: number) {
      if (after < first() - 1) {
        throw new OutOfRange(`resume_after must be ${first() - 1} or more: the rest is not kept`);
      }
      if (after > sent.sequence) {
        throw new OutOfRange(`resume_after must be ${sent.sequence} or less: no more was sent`);
      }
    },
    dropUpTo: (sequence: number) => dropWhile(({ chunk }) => chunk.sequence <= sequence),
    dropHeard: (samples: number) =>
      dropWhile(({ chunk, endSample }) => endSample <= samples && chunk.sequence <= sent.sequence),
    dropPlayed(taken: number) {
      const isFull = () => bytes + BATCH_BYTES > MAX_TURN_BYTES;
      dropWhile(({ chunk, playedMs }) => isFull() && chunk.sequence <= taken && playedMs <= now());
    },
    firstPlayedMs: () => entries[0]?.playedMs ?? 0,
    bytes: () => bytes,
    last: () => last,
    playedOfPart() {
      if (sent.sequence === last) return undefined;
      const aheadMs = Math.max(0, sent.playedMs - now());
      return Math.max(0, Math.round(sent.samples - aheadMs * SAMPLES_A_MS));
    },
  };
}

/** What a chunk takes in memory, about. */
function bytesOf(chunk: TurnChunk): number {
  if (chunk.type === "text") return 128 + 2 * chunk.text.length;
  return 128 + chunk.pcm.byteLength + 128 * (chunk.words?.length ?? 0);
}
