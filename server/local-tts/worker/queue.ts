import { onAbort, throwIfAborted } from "../../core/async.ts";

/** Who waits, and for when. */
export type Need = {
  /** When its sound is needed, on the clock of `performance.now()`. */
  readonly neededAtMs: number;
  /** Whose it is: a device. Places are shared out among these. */
  readonly queueKey: unknown;
};

/** A place that was taken. */
type Turn<Place> = {
  readonly place: Place;
  /** Gives the place back; call it once. */
  leave(): void;
};

/** A queue before places of one kind: each serves one at a time. */
export type Queue<Place> = {
  /**
   * Waits for a place. Rejects with the signal's reason, and leaves the queue at once, when the
   * signal fires before its turn.
   *
   * A key that has a place waits while any other key waits. Of those whose sound is needed already,
   * the key that was served longest ago goes first; else who needs it earliest, and of equals who
   * came first.
   */
  enter(need: Need, signal: AbortSignal): Promise<Turn<Place>>;
  /** Opens a place. */
  open(place: Place): void;
  /** Closes a place: nobody is let in any more. */
  close(place: Place): void;
  /** Rejects all who wait. */
  fail(error: unknown): void;
  /** How many wait. */
  readonly waiting: () => number;
};

type Entry<Place> = Need & {
  readonly admit: (place: Place) => void;
  readonly refuse: (error: unknown) => void;
};

/** Turns of one key: how many it has now, and when it last got one, in turns since the start. */
type Share = { holds: number; waits: number; servedAt: number };

/** Creates a queue before no place. */
export function createQueue<Place>(): Queue<Place> {
  return new FairQueue<Place>();
}

class FairQueue<Place> implements Queue<Place> {
  /** Earliest need first; of equals, who came first. */
  readonly #entries: Entry<Place>[] = [];
  readonly #places = new Set<Place>();
  readonly #free: Place[] = [];
  /** Of keys that wait or hold a place. */
  readonly #shares = new Map<unknown, Share>();
  #turns = 0;

  waiting = () => this.#entries.length;

  async enter(need: Need, signal: AbortSignal): Promise<Turn<Place>> {
    throwIfAborted(signal);
    const admitted = Promise.withResolvers<Place>();
    const entry = { ...need, admit: admitted.resolve, refuse: admitted.reject };
    this.#add(entry);
    const forget = onAbort(signal, (reason) => {
      if (this.#remove(entry)) admitted.reject(reason);
    });
    this.#admit();
    const place = await admitted.promise.finally(forget);
    return { place, leave: () => this.#leave(place, need.queueKey) };
  }

  open(place: Place): void {
    this.#places.add(place);
    this.#free.push(place);
    this.#admit();
  }

  close(place: Place): void {
    this.#places.delete(place);
    const at = this.#free.indexOf(place);
    if (at >= 0) this.#free.splice(at, 1);
  }

  fail(error: unknown): void {
    for (const entry of [...this.#entries]) {
      this.#remove(entry);
      entry.refuse(error);
    }
  }

  #admit(): void {
    for (let next = this.#next(); next && this.#free.length > 0; next = this.#next()) {
      const place = this.#free.shift() as Place;
      const share = this.#shares.get(next.queueKey);
      this.#turns += 1;
      if (share) share.servedAt = this.#turns;
      this.#change(next.queueKey, { holds: 1 });
      this.#remove(next);
      next.admit(place);
    }
  }

  #leave(place: Place, key: unknown): void {
    this.#change(key, { holds: -1 });
    if (this.#places.has(place)) this.#free.push(place);
    this.#admit();
  }

  /** Who is let in next. */
  #next(): Entry<Place> | undefined {
    const without = this.#entries.filter(({ queueKey }) => this.#shares.get(queueKey)?.holds === 0);
    const candidates = without.length > 0 ? without : this.#entries;
    const nowMs = performance.now();
    const due = candidates.filter(({ neededAtMs }) => neededAtMs <= nowMs);
    return this.#servedLongestAgo(due) ?? candidates[0];
  }

  #servedLongestAgo(entries: readonly Entry<Place>[]): Entry<Place> | undefined {
    const at = ({ queueKey }: Entry<Place>) => this.#shares.get(queueKey)?.servedAt ?? 0;
    return entries.reduce<Entry<Place> | undefined>(
      (first, entry) => (first && at(first) <= at(entry) ? first : entry),
      undefined,
    );
  }

  #add(entry: Entry<Place>): void {
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
  #remove(entry: Entry<Place>): boolean {
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
