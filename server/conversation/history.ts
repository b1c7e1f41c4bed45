import type { MessagePair } from "../models/language-model.ts";
import type { Session } from "./sessions.ts";

/** The latest turns of each session, in this process. */
export type History = {
  /** Earlier turns, oldest first. */
  recall(session: Session): readonly MessagePair[];
  /** Adds a turn, as far as it came. Very long texts are cut. */
  record(session: Session, messagePair: MessagePair): void;
  /** Bytes that all turns take, about. */
  bytes(): number;
};

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

/** Each text of a turn is cut to this many UTF-16 units: what a model needs of it, and no more. */
const longestText = 16_384;
/** What a turn and a session take beside their words. */
const messagePairBytes = 128;
const sessionBytes = 512;

type Entry = {
  readonly key: string;
  readonly device: Device;
  readonly messagePairs: MessagePair[];
  atMs: number;
};

/** One device's sessions, longest untouched first, and what they take. */
type Device = { readonly id: string; readonly sessions: Set<Entry>; bytes: number };

/**
 * Makes an empty history: 20 turns of each of 1000 sessions, 256 KiB a device and 32 MiB in all, kept
 * for half an hour.
 */
export function createHistory(limits: HistoryLimits = {}): History {
  return new BoundedHistory(limits);
}

class BoundedHistory implements History {
  readonly #limits: Required<HistoryLimits>;
  readonly #sessions = new Map<string, Entry>();
  /** Longest untouched first. */
  readonly #devices = new Map<string, Device>();
  #bytes = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = {
      maxMessagePairs: 20,
      maxSessions: 1000,
      maxDeviceBytes: 256 * 1024,
      maxBytes: 32 * 1024 * 1024,
      restMs: 30 * 60_000,
      now: () => performance.now(),
      ...limits,
    };
  }

  bytes(): number {
    return this.#bytes;
  }

  recall(session: Session): readonly MessagePair[] {
    const entry = this.#sessions.get(keyOf(session));
    return entry && this.#isFresh(entry) ? [...entry.messagePairs] : [];
  }

  record(session: Session, messagePair: MessagePair): void {
    if (messagePair.assistant === "") return;
    const entry = this.#touch(session.deviceId, keyOf(session));
    const { user, assistant } = messagePair;
    const cut = { ...messagePair, user: cutText(user), assistant: cutText(assistant) };
    entry.messagePairs.push(cut);
    this.#take(entry.device, bytesOf(cut));
    if (entry.messagePairs.length > this.#limits.maxMessagePairs) this.#removeOldest(entry);
    this.#fit(entry.device);
  }

  /** The session, as the one touched last. It is new if the last one rested for too long. */
  #touch(id: string, key: string): Entry {
    const before = this.#sessions.get(key);
    if (before && !this.#isFresh(before)) this.#remove(before);
    const device = this.#devices.get(id) ?? { id, sessions: new Set(), bytes: 0 };
    const known = this.#sessions.get(key);
    if (!known) this.#take(device, sessionBytes);
    const entry = known ?? { key, device, messagePairs: [], atMs: 0 };
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
    const oldest = entry.messagePairs.shift();
    if (oldest) this.#take(entry.device, -bytesOf(oldest));
    if (entry.messagePairs.length === 0) this.#remove(entry);
  }

  #remove(entry: Entry): void {
    const { device, messagePairs, key } = entry;
    for (const messagePair of messagePairs) this.#take(device, -bytesOf(messagePair));
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

function bytesOf({ user, assistant }: MessagePair): number {
  return messagePairBytes + textBytes(user) + textBytes(assistant);
}

/** As the runtime keeps it: one byte a character where all are Latin-1, else two a UTF-16 unit. */
function textBytes(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? text.length * 2 : text.length;
}

/**
 * The text or its beginning, as a string of its own: a part of another keeps all of that alive, and
 * one that was put together of deltas keeps each of them.
 */
function cutText(text: string): string {
  const whole = text.length <= longestText ? text : `${text.slice(0, longestText)}…`;
  return Buffer.from(whole).toString();
}
