import { onAbort, throwIfAborted } from "../../core/async.ts";

/** When a clause is needed, and whose it is. */
export type Priority = {
  /** When its audio is needed, on the clock of `performance.now()`. */
  readonly neededAtMs: number;
  /** The owner, usually a device. Slots are shared fairly among owners. */
  readonly queueKey: unknown;
};

/** An acquired slot. */
type Acquired<Slot> = {
  readonly slot: Slot;
  /** Frees the slot. Call it once. */
  release(): void;
};

/** A queue for slots. Each slot serves one entry at a time. */
export type Queue<Slot> = {
  /**
   * Waits for a slot. Rejects with the signal's reason, and leaves the queue, when the signal fires.
   *
   * Keys without a slot go first. Of entries whose audio is already needed, the one goes first whose
   * key was served longest ago; otherwise the one that is needed earliest, then the oldest.
   */
  acquire(priority: Priority, signal: AbortSignal): Promise<Acquired<Slot>>;
  /** Adds a slot. */
  addSlot(slot: Slot): void;
  /** Removes a slot. It serves no more entries. */
  removeSlot(slot: Slot): void;
  /** Rejects all waiting entries. */
  rejectAll(error: unknown): void;
  /** Number of waiting entries. */
  readonly waiting: () => number;
  /** Number of owners that wait or hold a slot. */
  readonly owners: () => number;
};

type Entry<Slot> = Priority & {
  readonly admit: (slot: Slot) => void;
  readonly refuse: (error: unknown) => void;
};

/** Usage of one key: slots held, entries waiting, and the number of the last acquisition. */
type Share = { holds: number; waits: number; servedAt: number };

/** Creates a queue without slots. */
export function createQueue<Slot>(): Queue<Slot> {
  return new FairQueue<Slot>();
}

class FairQueue<Slot> implements Queue<Slot> {
  /** Ordered by `neededAtMs`, then by age. */
  readonly #entries: Entry<Slot>[] = [];
  readonly #slots = new Set<Slot>();
  readonly #free: Slot[] = [];
  /** Keys that wait or hold a slot. */
  readonly #shares = new Map<unknown, Share>();
  #acquisitions = 0;

  waiting = () => this.#entries.length;
  owners = () => this.#shares.size;

  async acquire(priority: Priority, signal: AbortSignal): Promise<Acquired<Slot>> {
    throwIfAborted(signal);
    const admitted = Promise.withResolvers<Slot>();
    const entry = { ...priority, admit: admitted.resolve, refuse: admitted.reject };
    this.#add(entry);
    const forget = onAbort(signal, (reason) => {
      if (this.#remove(entry)) admitted.reject(reason);
    });
    this.#admit();
    const slot = await admitted.promise.finally(forget);
    return { slot, release: () => this.#release(slot, priority.queueKey) };
  }

  addSlot(slot: Slot): void {
    this.#slots.add(slot);
    this.#free.push(slot);
    this.#admit();
  }

  removeSlot(slot: Slot): void {
    this.#slots.delete(slot);
    const at = this.#free.indexOf(slot);
    if (at >= 0) this.#free.splice(at, 1);
  }

  rejectAll(error: unknown): void {
    for (const entry of [...this.#entries]) {
      this.#remove(entry);
      entry.refuse(error);
    }
  }

  #admit(): void {
    for (let next = this.#next(); next && this.#free.length > 0; next = this.#next()) {
      const slot = this.#free.shift() as Slot;
      const share = this.#shares.get(next.queueKey);
      this.#acquisitions += 1;
      if (share) share.servedAt = this.#acquisitions;
      this.#change(next.queueKey, { holds: 1 });
      this.#remove(next);
      next.admit(slot);
    }
  }

  #release(slot: Slot, key: unknown): void {
    this.#change(key, { holds: -1 });
    if (this.#slots.has(slot)) this.#free.push(slot);
    this.#admit();
  }

  /** The next entry to serve. */
  #next(): Entry<Slot> | undefined {
    const without = this.#entries.filter(({ queueKey }) => this.#shares.get(queueKey)?.holds === 0);
    const candidates = without.length > 0 ? without : this.#entries;
    const nowMs = performance.now();
    const due = candidates.filter(({ neededAtMs }) => neededAtMs <= nowMs);
    return this.#servedLongestAgo(due) ?? candidates[0];
  }

  #servedLongestAgo(entries: readonly Entry<Slot>[]): Entry<Slot> | undefined {
    const at = ({ queueKey }: Entry<Slot>) => this.#shares.get(queueKey)?.servedAt ?? 0;
    return entries.reduce<Entry<Slot> | undefined>(
      (first, entry) => (first && at(first) <= at(entry) ? first : entry),
      undefined,
    );
  }

  #add(entry: Entry<Slot>): void {
    const at = this.#entries.findLastIndex((other) => other.neededAtMs <= entry.neededAtMs);
    this.#entries.splice(at + 1, 0, entry);
    // A new key goes before the key served last, and after all others.
    const share = this.#shares.get(entry.queueKey) ?? {
      holds: 0,
      waits: 0,
      servedAt: this.#acquisitions - 1,
    };
    share.waits += 1;
    this.#shares.set(entry.queueKey, share);
  }

  /** False if it was served or removed before. */
  #remove(entry: Entry<Slot>): boolean {
    const at = this.#entries.indexOf(entry);
    if (at < 0) return false;
    this.#entries.splice(at, 1);
    this.#change(entry.queueKey, { waits: -1 });
    return true;
  }

  #change(key: unknown, { holds = 0, waits = 0 }: Partial<Share>): void {
    const share = this.#shares.get(key);
    if (!share) return;
    share.holds += holds;
    share.waits += waits;
    if (share.holds === 0 && share.waits === 0) this.#shares.delete(key);
  }
}

/** The waits of one call, in milliseconds. */
export type Waited = {
  /** For a worker to be free. */
  readonly queueMs: number;
  /** For the first worker to load. */
  readonly loadingMs: number;
};

/** Measures what calls wait, by their signals. */
export function createWaits(readyAtMs: () => number) {
  const done = new WeakMap<AbortSignal, Waited>();
  const waiting = new Map<AbortSignal, number>();
  const add = ({ queueMs, loadingMs }: Waited, sinceMs: number): Waited => {
    const nowMs = performance.now();
    const readyMs = Math.min(nowMs, Math.max(sinceMs, readyAtMs()));
    return { queueMs: queueMs + nowMs - readyMs, loadingMs: loadingMs + readyMs - sinceMs };
  };
  const of = (signal: AbortSignal): Waited => {
    const before = done.get(signal) ?? { queueMs: 0, loadingMs: 0 };
    const sinceMs = waiting.get(signal);
    return sinceMs === undefined ? before : add(before, sinceMs);
  };
  return {
    of,
    async during<T>(signal: AbortSignal, wait: Promise<T>): Promise<T> {
      waiting.set(signal, performance.now());
      try {
        return await wait;
      } finally {
        done.set(signal, of(signal));
        waiting.delete(signal);
      }
    },
  };
}
