import { onAbort, throwIfAborted } from "../../core/async/abort.ts";

/** Who waits, and for when. */
export type Priority = {
  /** When its sound is needed, on the clock of `performance.now()`. */
  readonly neededAtMs: number;
  /** Whose it is: a device. Places are shared out among these. */
  readonly queueKey: unknown;
};

/** A slot that was taken. */
type Acquired<Slot> = {
  readonly slot: Slot;
  /** Gives the slot back; call it once. */
  release(): void;
};

/** A queue before slots of one kind: each serves one at a time. */
export type Queue<Slot> = {
  /**
   * Waits for a slot. Rejects with the signal's reason, and leaves the queue at once, when the
   * signal fires before its turn.
   *
   * A key that has a slot waits while any other key waits. Of those whose sound is needed already,
   * the key that was served longest ago goes first; else who needs it earliest, and of equals who
   * came first.
   */
  acquire(priority: Priority, signal: AbortSignal): Promise<Acquired<Slot>>;
  /** Opens a slot. */
  addSlot(slot: Slot): void;
  /** Closes a slot: nobody is let in any more. */
  removeSlot(slot: Slot): void;
  /** Rejects all who wait. */
  rejectAll(error: unknown): void;
  /** How many wait. */
  readonly waiting: () => number;
};

type Entry<Slot> = Priority & {
  readonly admit: (slot: Slot) => void;
  readonly refuse: (error: unknown) => void;
};

/** Turns of one key: how many it has now, and when it last got one, in turns since the start. */
type Share = { holds: number; waits: number; servedAt: number };

/** Creates a queue before no slot. */
export function createQueue<Slot>(): Queue<Slot> {
  return new FairQueue<Slot>();
}

class FairQueue<Slot> implements Queue<Slot> {
  /** Earliest need first; of equals, who came first. */
  readonly #entries: Entry<Slot>[] = [];
  readonly #slots = new Set<Slot>();
  readonly #free: Slot[] = [];
  /** Of keys that wait or hold a slot. */
  readonly #shares = new Map<unknown, Share>();
  #turns = 0;

  waiting = () => this.#entries.length;

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
      this.#turns += 1;
      if (share) share.servedAt = this.#turns;
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

  /** Who is let in next. */
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
    // A key that comes anew goes before the one that was served last, and behind all others.
    const share = this.#shares.get(entry.queueKey) ?? {
      holds: 0,
      waits: 0,
      servedAt: this.#turns - 1,
    };
    share.waits += 1;
    this.#shares.set(entry.queueKey, share);
  }

  /** False if it was let in, or has left, before. */
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
