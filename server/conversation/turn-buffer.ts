import { abortable, onAbort, TurnCancelled, throwIfAborted } from "../core/async.ts";
import { NumberedChunks, type NumberedStart } from "./numbered-chunks.ts";
import type { TurnChunk } from "./reply.ts";

/** What happens to a buffer. */
type BufferListener = {
  /** A client reads from now on. */
  readonly onAttach: () => void;
  /** No client reads any more. Called after each `onAttach`, unless another client reads by then. */
  readonly onDetach: () => void;
  /** So many bytes more are kept, or fewer. */
  readonly onBytes: (change: number) => void;
};

/** The most bytes that a turn keeps. */
export const MAX_TURN_BYTES = 2 * 1024 * 1024;

/** More than a batch takes, its words included. */
const BATCH_BYTES = 128 * 1024;

/**
 * The chunks of a turn that its client may not have received yet: 2 MiB at most. One writer, and one
 * reader at a time; a new reader ends the one before it.
 */
export class TurnBuffer {
  readonly #listener: BufferListener;
  readonly #now: () => number;
  readonly #kept: NumberedChunks;
  #reader: object | undefined;
  /** The reader at another instance, whichever it is. */
  readonly #elsewhere = {};
  /** The number of the last chunk that the present client took. */
  #taken = 0;
  #ended: { readonly error?: unknown } | undefined;
  #news = Promise.withResolvers<void>();

  /**
   * Makes the buffer of a turn that has not begun, or stands at `start`. `now` reads a monotonic clock, in
   * milliseconds.
   */
  constructor(listener: BufferListener, start?: NumberedStart, now = () => performance.now()) {
    this.#listener = listener;
    this.#now = now;
    this.#kept = new NumberedChunks(now, listener.onBytes, start);
  }

  /** The number of the first chunk that is kept, or of the next one. */
  get first(): number {
    return this.#kept.first;
  }

  /** The number of the last chunk that was pushed; 0 if none was. */
  get last(): number {
    return this.#kept.last;
  }

  isAttached(): boolean {
    return this.#reader !== undefined;
  }

  hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** The samples that the client has played by the clock; undefined if it was sent all there is. */
  playedOfPart(): number | undefined {
    return this.#kept.playedOfPart();
  }

  /** Numbers the chunks and keeps them. */
  push(chunks: readonly TurnChunk[]): void {
    if (this.#ended) return;
    this.#kept.add(chunks);
    this.#wake();
  }

  /**
   * Resolves when more may be made: a client reads and has taken all there is, or none reads, and there
   * is room. What a client took, and has played by the clock, makes room. Throws the error of `fail`.
   */
  async untilRoom(): Promise<void> {
    for (;;) {
      this.#throwIfFailed();
      const ms = this.#waitMs();
      if (ms === 0) return;
      const timer = Number.isFinite(ms) ? setTimeout(() => this.#wake(), ms) : undefined;
      await this.#news.promise;
      clearTimeout(timer);
    }
  }

  /** Resolves when a client has taken all that was pushed. Throws the error of `fail`. */
  async untilTaken(): Promise<void> {
    for (;;) {
      this.#throwIfFailed();
      if (this.#reader && this.#taken === this.#kept.last) return;
      await this.#news.promise;
    }
  }

  /**
   * The chunks behind the number `after`, in batches of 1 s of sound at most; the first sound comes
   * alone. Throws `OutOfRange` if they are not kept, or not yet made, and what `fail` was given.
   */
  async *read(after: number, clientSignal: AbortSignal): AsyncGenerator<readonly TurnChunk[]> {
    throwIfAborted(clientSignal);
    this.#throwIfCancelled();
    this.#kept.checkPosition(after);
    this.#kept.dropUpTo(after);
    const reader = {};
    this.#reader = reader;
    this.#taken = after;
    this.#wake();
    this.#listener.onAttach();
    // A client that has gone is noticed by its signal: its reader may be parked in a write.
    const forget = onAbort(clientSignal, () => this.#detach(reader));
    try {
      yield* this.#batches(reader, clientSignal);
    } finally {
      forget();
      this.#detach(reader);
    }
  }

  /** The client has played so many samples, and will not ask for them again. */
  confirm(samples: number): void {
    this.#kept.dropHeard(samples);
    this.#wake();
  }

  /** A client has confirmed all before this number, at another instance. */
  confirmBefore(first: number): void {
    this.#kept.dropUpTo(first - 1);
    this.#wake();
  }

  /**
   * A client reads at another instance and has taken chunks up to this number, or does so no more. It ends
   * a reader that is here.
   */
  followElsewhere(taken: number | undefined): void {
    if (taken === undefined) {
      this.#detach(this.#elsewhere);
      return;
    }
    if (this.#reader !== this.#elsewhere) {
      this.#reader = this.#elsewhere;
      this.#listener.onAttach();
    }
    this.#kept.send(taken);
    this.#taken = taken;
    this.#wake();
  }

  /** No more comes. */
  end(): void {
    this.#ended ??= {};
    this.#wake();
  }

  /** The turn failed. If it was cancelled, nothing that is left is read any more. */
  fail(error: unknown): void {
    const isCancel = error instanceof TurnCancelled;
    if (!this.#ended || (isCancel && !this.#isCancelled())) this.#ended = { error };
    if (isCancel) this.#kept.dropUpTo(this.#kept.last);
    this.#wake();
  }

  /** Drops what a client that reads has taken, to make room for other turns. */
  shed(): void {
    if (this.#reader) this.#kept.dropUpTo(this.#taken);
  }

  async *#batches(reader: object, clientSignal: AbortSignal) {
    for (let at = this.#taken; ; ) {
      this.#throwIfOver(reader);
      const chunks = this.#kept.behind(at);
      if (chunks.length > 0) {
        at += chunks.length;
        this.#kept.send(at);
        yield chunks;
        this.#throwIfOver(reader);
        this.#taken = at;
        this.#wake();
      } else if (this.#ended) {
        this.#throwIfFailed();
        return;
      } else {
        await abortable(this.#news.promise, clientSignal);
      }
    }
  }

  /** Milliseconds until there may be room; 0 if there is. */
  #waitMs(): number {
    const isRead = this.#reader !== undefined;
    // A reader at another instance says what it took a moment later: the turn does not wait for that.
    const isHere = isRead && this.#reader !== this.#elsewhere;
    if (isHere && this.#taken < this.#kept.last) return Number.POSITIVE_INFINITY;
    const enough = MAX_TURN_BYTES - BATCH_BYTES;
    if (isRead) this.#kept.dropPlayed(this.#taken, enough);
    if (this.#kept.bytes <= enough) return 0;
    if (!isRead) return Number.POSITIVE_INFINITY;
    return Math.max(1, this.#kept.firstPlayedMs - this.#now());
  }

  #detach(reader: object): void {
    if (this.#reader !== reader) return;
    this.#reader = undefined;
    this.#wake();
    this.#listener.onDetach();
  }

  #wake(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }

  #isCancelled(): boolean {
    return this.#ended?.error instanceof TurnCancelled;
  }

  #throwIfFailed(): void {
    if (this.#ended && "error" in this.#ended) throw this.#ended.error;
  }

  #throwIfCancelled(): void {
    if (this.#isCancelled()) this.#throwIfFailed();
  }

  #throwIfOver(reader: object): void {
    if (this.#reader !== reader) throw new TurnCancelled("disconnected");
    this.#throwIfCancelled();
  }
}
