import type { MessagePair } from "../models/language-model.ts";
import type { KeptTurn, NewTurn } from "../storage/records.ts";
import { type LocalHistory, MAX_RECALLED, messagePairOf, REST_MS } from "./history.ts";
import type { Session } from "./sessions.ts";

/** How much the history keeps, and for how long. */
export type HistoryLimits = {
  readonly maxMessagePairs?: number;
  readonly maxSessions?: number;
  /** Bytes that all sessions of one device may take. Its oldest turns go first. */
  readonly maxDeviceBytes?: number;
  /** Bytes that all devices may take together. The device that takes most loses first. */
  readonly maxBytes?: number;
  /** Milliseconds without a turn after which a session's turns are forgotten. */
  readonly restMs?: number;
  readonly now?: () => number;
};

/** What a turn and a session take beside their words. */
const messagePairBytes = 128;
const sessionBytes = 512;

type Entry = {
  readonly key: string;
  readonly device: Device;
  /** In the order in which they began. */
  readonly turns: Turn[];
  atMs: number;
};

/** A turn, and what it takes. */
type Turn = {
  /** Rises from turn to turn; 0 if it was kept elsewhere before. */
  readonly number: number;
  readonly messagePair: MessagePair;
  readonly bytes: number;
};

/** One device's sessions, longest untouched first, and what they take. */
type Device = { readonly id: string; readonly sessions: Set<Entry>; bytes: number };

/**
 * Makes an empty history: 20 turns of each of 1000 sessions, 256 KiB a device and 32 MiB in all, kept
 * for half an hour.
 */
export function createLocalHistory(limits: HistoryLimits = {}): LocalHistory {
  return new BoundedHistory(limits);
}

class BoundedHistory implements LocalHistory {
  readonly #limits: Required<HistoryLimits>;
  readonly #sessions = new Map<string, Entry>();
  /** Longest untouched first. */
  readonly #devices = new Map<string, Device>();
  #bytes = 0;
  #lastNumber = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = {
      maxMessagePairs: MAX_RECALLED,
      maxSessions: 1000,
      maxDeviceBytes: 256 * 1024,
      maxBytes: 32 * 1024 * 1024,
      restMs: REST_MS,
      now: () => performance.now(),
      ...limits,
    };
  }

  bytes(): number {
    return this.#bytes;
  }

  has(session: Session): boolean {
    return this.#find(session) !== undefined;
  }

  async recall(session: Session): Promise<readonly MessagePair[]> {
    return this.#find(session)?.turns.map(({ messagePair }) => messagePair) ?? [];
  }

  begin({ id, deviceId, sessionId, prompt }: NewTurn): KeptTurn {
    const number = ++this.#lastNumber;
    return {
      write: async (state) => {
        if (prompt === undefined || state.status === "running" || state.reply === "") return;
        this.#put(
          { deviceId, sessionId },
          { number, ...sized(messagePairOf({ id, prompt }, state)) },
        );
      },
    };
  }

  fill(session: Session, messagePairs: readonly MessagePair[]): void {
    if (this.has(session)) return;
    for (const messagePair of messagePairs) {
      this.#put(session, { number: 0, ...sized(messagePair) });
    }
  }

  #find(session: Session): Entry | undefined {
    const entry = this.#sessions.get(keyOf(session));
    return entry && this.#isFresh(entry) ? entry : undefined;
  }

  /** Adds a turn in the order of beginnings, or replaces it. */
  #put(session: Session, turn: Turn): void {
    const entry = this.#touch(session.deviceId, keyOf(session));
    const { turns } = entry;
    const same = turns.findIndex(({ number }) => number === turn.number && number > 0);
    if (same >= 0) this.#take(entry.device, -(turns[same] as Turn).bytes);
    const after = turns.findLastIndex(({ number }) => number <= turn.number) + 1;
    turns.splice(same >= 0 ? same : after, same >= 0 ? 1 : 0, turn);
    this.#take(entry.device, turn.bytes);
    if (turns.length > this.#limits.maxMessagePairs) this.#removeOldest(entry);
    this.#fit(entry.device);
  }

  /** The session, as the one touched last. It is new if the last one rested for too long. */
  #touch(id: string, key: string): Entry {
    const before = this.#sessions.get(key);
    if (before && !this.#isFresh(before)) this.#remove(before);
    const device = this.#devices.get(id) ?? { id, sessions: new Set(), bytes: 0 };
    const known = this.#sessions.get(key);
    if (!known) this.#take(device, sessionBytes);
    const entry = known ?? { key, device, turns: [], atMs: 0 };
    entry.atMs = this.#limits.now();
    device.sessions.delete(entry);
    device.sessions.add(entry);
    this.#sessions.set(key, entry);
    this.#devices.delete(id);
    this.#devices.set(id, device);
    return entry;
  }

  #fit(device: Device): void {
    const { maxDeviceBytes, maxBytes, maxSessions } = this.#limits;
    while (device.bytes > maxDeviceBytes) this.#removeOldestOf(device);
    while (this.#bytes > maxBytes) {
      this.#removeOldestOf(mostOf(this.#devices.values(), ({ bytes }) => bytes));
    }
    if (this.#sessions.size <= maxSessions) return;
    const busiest = mostOf(this.#devices.values(), ({ sessions }) => sessions.size);
    const [oldest] = busiest.sessions;
    if (oldest) this.#remove(oldest);
  }

  #removeOldestOf(device: Device): void {
    const [entry] = device.sessions;
    if (entry) this.#removeOldest(entry);
  }

  #removeOldest(entry: Entry): void {
    const oldest = entry.turns.shift();
    if (oldest) this.#take(entry.device, -oldest.bytes);
    if (entry.turns.length === 0) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    const { device, turns, key } = entry;
    for (const { bytes } of turns) this.#take(device, -bytes);
    this.#take(device, -sessionBytes);
    device.sessions.delete(entry);
    this.#sessions.delete(key);
    if (device.sessions.size === 0) this.#devices.delete(device.id);
  }

  #take(device: Device, bytes: number): void {
    device.bytes += bytes;
    this.#bytes += bytes;
  }

  #isFresh({ atMs }: Entry): boolean {
    return this.#limits.now() - atMs < this.#limits.restMs;
  }
}

/** The device is part of the key: it cannot name another's session. */
function keyOf({ deviceId, sessionId }: Session): string {
  return JSON.stringify([deviceId, sessionId]);
}

/** Of devices with equally much, the one untouched for longest. There is one at least. */
function mostOf(devices: Iterable<Device>, muchOf: (device: Device) => number): Device {
  return Array.from(devices).reduce((most, each) => (muchOf(each) > muchOf(most) ? each : most));
}

function sized(messagePair: MessagePair) {
  const { user, assistant } = messagePair;
  return { messagePair, bytes: messagePairBytes + textBytes(user) + textBytes(assistant) };
}

/** As the runtime keeps it: one byte a character where all are Latin-1, else two a UTF-16 unit. */
function textBytes(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? text.length * 2 : text.length;
}
