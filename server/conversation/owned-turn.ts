import { setTimeout as sleep } from "node:timers/promises";
import { RedisError } from "../cluster/redis-errors.ts";
import {
  LEASE_MS,
  type OwnerView,
  type SharedTurns,
  type TurnName,
} from "../cluster/shared-turns-contract.ts";
import { TurnCancelled } from "../core/async.ts";
import type { TurnChunk } from "./reply.ts";
import { encodeChunk, encodeEnd } from "./turn-codec.ts";
import type { Progress, TurnProgress } from "./turn-progress.ts";

/** The turn goes on at another instance: nothing of it is written here any more. */
export class TurnMoved extends TurnCancelled {
  constructor() {
    super("disconnected");
  }
}

/** What becomes of a turn that other instances know. */
export type OwnerListener = {
  /** Chunks may be sent that were held back. */
  readonly onReady: (chunks: readonly TurnChunk[]) => void;
  /** A client reads at another instance, and took chunks up to this one; undefined: it has left. */
  readonly onReader: (taken: number | undefined) => void;
  /** A client confirmed all before this number at another instance. */
  readonly onConfirmed: (first: number) => void;
  /** A client reported samples at another instance. */
  readonly onReport: (samples: number) => void;
  /** The turn has to end here: `TurnMoved`, or it was interrupted. */
  readonly onLost: (reason: TurnCancelled) => void;
  /** Redis is lost: the turn goes on here alone. */
  readonly onStranded: () => void;
};

/** What an owner starts with. */
export type OwnerStart = {
  readonly name: TurnName;
  readonly epoch: number;
  /** The token of the reader that is here. */
  readonly token: number;
  readonly progress: TurnProgress;
  /** The number of the last chunk that may have been sent. */
  readonly last: number;
  /** The number of the first chunk that is kept. */
  readonly first: () => number;
};

const RENEW_MS = LEASE_MS / 3;
/** How long the beginning of a word waits for its end. */
const HOLD_MS = 1000;
/** For how long a write is tried again before Redis counts as lost: gone, or only slow. */
const GONE_MS = 500;
const SLOW_MS = 1500;
const RETRY_MS = 50;

/**
 * A turn of which this instance is the owner. Each chunk stands in Redis before it may be sent. The owner
 * renews its lease; if another took the turn, nothing more is written.
 */
export class OwnedTurn {
  readonly #shared: SharedTurns;
  readonly #start: OwnerStart;
  readonly #listener: OwnerListener;
  readonly #timer: NodeJS.Timeout;
  #token: number;
  #sent: number;
  #writtenMs = performance.now();
  #reported: number | undefined;
  #state: "shared" | "stranded" | "closed" = "shared";
  #isEnded = false;
  /** Its end stands in Redis as well. */
  #isWritten = false;
  #attaching = 0;
  /** One call at a time: chunks are released in order. */
  #calls: Promise<unknown> = Promise.resolve();

  constructor(shared: SharedTurns, start: OwnerStart, listener: OwnerListener) {
    this.#shared = shared;
    this.#start = start;
    this.#listener = listener;
    this.#token = start.token;
    this.#sent = start.last;
    this.#timer = setInterval(() => void this.#renew(), RENEW_MS).unref();
  }

  /** What else is known of the turn. It is told with the next write. */
  note(more: Partial<Progress>): void {
    this.#start.progress.note(more);
  }

  /** Writes chunks. Resolves to those that may be sent by now. Rejects if the turn has to end. */
  write(chunks: readonly TurnChunk[]): Promise<readonly TurnChunk[]> {
    return this.#next(() => this.#put(this.#start.progress.take(chunks)));
  }

  /** All of the reply was made. Resolves to the chunks that were held back. */
  finish(): Promise<readonly TurnChunk[]> {
    return this.#next(() => this.#put(this.#start.progress.end(), true));
  }

  /** The turn has ended, well or with an error. */
  end(error?: unknown): void {
    this.#isEnded = true;
    const write = async () => {
      await this.#send({ end: encodeEnd(error) });
      this.#isWritten = this.#state === "shared";
    };
    this.#next(write).catch(() => undefined);
  }

  /** A client reads here from now on. */
  async attach(after: number): Promise<void> {
    if (this.#state !== "shared") return;
    this.#attaching += 1;
    try {
      const attached = await this.#shared.attach(this.#start.name, after);
      if (attached.state === "ok") this.#token = Math.max(this.#token, attached.token);
    } catch {
      // The next write tells whether Redis is lost.
    } finally {
      this.#attaching -= 1;
    }
  }

  /** Lets another instance take the turn at once. */
  release(): void {
    const { name, epoch } = this.#start;
    this.#close(() => this.#shared.release(name, epoch));
  }

  /** The turn is not to be taken up any more. */
  forget(): void {
    const { name, epoch } = this.#start;
    this.#close(() => this.#shared.forget(name, epoch));
  }

  #close(last: () => Promise<unknown>): void {
    clearInterval(this.#timer);
    const wasShared = this.#state === "shared";
    this.#state = "closed";
    if (wasShared) this.#next(last).catch(() => undefined);
  }

  #next<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#calls.then(call);
    this.#calls = result.catch(() => undefined);
    return result;
  }

  async #put(chunks: readonly TurnChunk[], isLast = false): Promise<readonly TurnChunk[]> {
    const { progress } = this.#start;
    const after = this.#sent + progress.held - chunks.length;
    const ready = progress.release(isLast || this.#state === "stranded");
    this.#sent += ready.length;
    await this.#send({ chunks: chunks.map(encodeChunk), after });
    // If Redis was lost meanwhile, nothing waits for the end of a word.
    const rest = this.#state === "stranded" ? progress.release(true) : [];
    this.#sent += rest.length;
    return [...ready, ...rest];
  }

  async #send(write: {
    readonly chunks?: readonly Uint8Array[];
    readonly after?: number;
    readonly end?: string;
  }): Promise<void> {
    if (this.#state !== "shared") return;
    const { name, epoch, progress, first } = this.#start;
    const view = await this.#try(() =>
      this.#shared.write(name, epoch, {
        after: this.#sent,
        sent: this.#sent,
        first: first(),
        progress: JSON.stringify(progress.read()),
        ...write,
      }),
    );
    if (this.#state !== "shared") return;
    // One that stands there to its end needs no owner.
    if (view === undefined && this.#isWritten) return;
    if (view === undefined || view.state === "unknown") this.#strand();
    else if (view.state === "ok") this.#see(view);
    else
      throw this.#lose(view.state === "lost" ? new TurnMoved() : new TurnCancelled("interrupted"));
  }

  /** A call whose answer was lost may have been done: it can be made again. */
  async #try(call: () => Promise<OwnerView>): Promise<OwnerView | undefined> {
    const startMs = performance.now();
    for (;;) {
      try {
        const view = await call();
        this.#writtenMs = performance.now();
        return view;
      } catch (error) {
        const isSlow = error instanceof RedisError && error.kind === "timeout";
        if (performance.now() - startMs > (isSlow ? SLOW_MS : GONE_MS)) return undefined;
        await sleep(RETRY_MS);
      }
    }
  }

  #see({ token, isRead, taken, reported, first }: Extract<OwnerView, { state: "ok" }>): void {
    const isElsewhere = token > this.#token && this.#attaching === 0;
    if (isElsewhere) this.#listener.onReader(isRead ? taken : undefined);
    if (isElsewhere) this.#listener.onConfirmed(first);
    if (reported === undefined || reported === this.#reported) return;
    this.#reported = reported;
    this.#listener.onReport(reported);
  }

  #lose(reason: TurnCancelled): TurnCancelled {
    clearInterval(this.#timer);
    this.#state = "closed";
    this.#listener.onLost(reason);
    return reason;
  }

  #strand(): void {
    this.#state = "stranded";
    if (!this.#isEnded) this.#listener.onStranded();
  }

  async #renew(): Promise<void> {
    const idleMs = performance.now() - this.#writtenMs;
    if (this.#state === "stranded") return this.#part();
    // One that has ended only listens for its reader.
    if (idleMs < (this.#isEnded ? 2 * RENEW_MS : RENEW_MS / 2)) return;
    const { progress } = this.#start;
    const isHeldLong = progress.held > 0 && idleMs > HOLD_MS;
    const renew = () => this.#put(isHeldLong ? progress.pause() : [], isHeldLong);
    const ready = await this.#next(renew).catch(() => []);
    if (ready.length > 0) this.#listener.onReady(ready);
  }

  /** Once Redis is back, no other instance is to go on from what it knew, if none has done so. */
  async #part(): Promise<void> {
    const { name, epoch } = this.#start;
    try {
      if (await this.#shared.forget(name, epoch)) clearInterval(this.#timer);
      else this.#lose(new TurnMoved());
    } catch {
      // It is still away.
    }
  }
}
