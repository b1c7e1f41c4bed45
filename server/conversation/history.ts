import type { MessagePair } from "../models/language-model.ts";

/** Who talks: a device, and the conversation that it names, if it does. */
export type Talker = { readonly deviceId?: string; readonly conversationId?: string };

/** The latest turns of each conversation, in this process. */
export type History = {
  /** Earlier turns, oldest first. None for a talker without a device: nobody could own them. */
  recall(talker: Talker): readonly MessagePair[];
  /** Adds a turn, as far as it came. Very long texts are cut. */
  record(talker: Talker, messagePair: MessagePair): void;
  /** Bytes that all kept turns take, about. */
  bytes(): number;
};

/** How much is kept, and for how long. */
export type HistoryLimits = {
  readonly maxMessagePairs?: number;
  readonly maxConversations?: number;
  /** Bytes that all conversations of one device may take. Its oldest turns go first. */
  readonly maxDeviceBytes?: number;
  /** Bytes that all devices may take together. The device that takes most loses first. */
  readonly maxBytes?: number;
  /** A conversation that rested for so long begins anew. */
  readonly restMs?: number;
  readonly now?: () => number;
};

/** Each text of a turn is cut to this many UTF-16 units: what a model needs of it, and no more. */
const longestText = 16_384;
/** What a turn and a conversation take beside their words. */
const messagePairBytes = 128;
const conversationBytes = 512;

type Kept = {
  readonly key: string;
  readonly device: Device;
  readonly messagePairs: MessagePair[];
  atMs: number;
};

/** One device's conversations, longest untouched first, and what they take. */
type Device = { readonly id: string; readonly conversations: Set<Kept>; bytes: number };

/**
 * Makes an empty history: 20 turns of each of 1000 conversations, 256 KiB a device and 32 MiB in
 * all, kept for half an hour.
 */
export function createHistory(limits: HistoryLimits = {}): History {
  return new KeptTurns(limits);
}

class KeptTurns implements History {
  readonly #limits: Required<HistoryLimits>;
  readonly #conversations = new Map<string, Kept>();
  /** Longest untouched first. */
  readonly #devices = new Map<string, Device>();
  #bytes = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = {
      maxMessagePairs: 20,
      maxConversations: 1000,
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

  recall(talker: Talker): readonly MessagePair[] {
    const kept = this.#conversations.get(keyOf(talker));
    return kept && this.#isFresh(kept) ? [...kept.messagePairs] : [];
  }

  record(talker: Talker, messagePair: MessagePair): void {
    if (talker.deviceId === undefined || messagePair.assistant === "") return;
    const kept = this.#touch(talker.deviceId, keyOf(talker));
    const cut = { user: cutText(messagePair.user), assistant: cutText(messagePair.assistant) };
    kept.messagePairs.push(cut);
    this.#take(kept.device, bytesOf(cut));
    if (kept.messagePairs.length > this.#limits.maxMessagePairs) this.#removeOldest(kept);
    this.#fit(kept.device);
  }

  /** The conversation, as the one touched last. It is new if the last one rested for too long. */
  #touch(id: string, key: string): Kept {
    const before = this.#conversations.get(key);
    if (before && !this.#isFresh(before)) this.#remove(before);
    const device = this.#devices.get(id) ?? { id, conversations: new Set(), bytes: 0 };
    const known = this.#conversations.get(key);
    if (!known) this.#take(device, conversationBytes);
    const kept = known ?? { key, device, messagePairs: [], atMs: 0 };
    kept.atMs = this.#limits.now();
    device.conversations.delete(kept);
    device.conversations.add(kept);
    this.#conversations.set(key, kept);
    this.#devices.delete(id);
    this.#devices.set(id, device);
    return kept;
  }

  #fit(device: Device): void {
    const { maxDeviceBytes, maxBytes, maxConversations } = this.#limits;
    while (device.bytes > maxDeviceBytes) this.#removeOldestOf(device);
    while (this.#bytes > maxBytes) {
      this.#removeOldestOf(mostOf(this.#devices.values(), ({ bytes }) => bytes));
    }
    if (this.#conversations.size <= maxConversations) return;
    const busiest = mostOf(this.#devices.values(), ({ conversations }) => conversations.size);
    const [oldest] = busiest.conversations;
    if (oldest) this.#remove(oldest);
  }

  #removeOldestOf(device: Device): void {
    const [kept] = device.conversations;
    if (kept) this.#removeOldest(kept);
  }

  #removeOldest(kept: Kept): void {
    const oldest = kept.messagePairs.shift();
    if (oldest) this.#take(kept.device, -bytesOf(oldest));
    if (kept.messagePairs.length === 0) this.#remove(kept);
  }

  #remove(kept: Kept): void {
    const { device, messagePairs, key } = kept;
    for (const messagePair of messagePairs) this.#take(device, -bytesOf(messagePair));
    this.#take(device, -conversationBytes);
    device.conversations.delete(kept);
    this.#conversations.delete(key);
    if (device.conversations.size === 0) this.#devices.delete(device.id);
  }

  #take(device: Device, bytes: number): void {
    device.bytes += bytes;
    this.#bytes += bytes;
  }

  #isFresh({ atMs }: Kept): boolean {
    return this.#limits.now() - atMs < this.#limits.restMs;
  }
}

/** No device can name another's conversation: its own id is a part of the key. */
function keyOf({ deviceId, conversationId }: Talker): string {
  return JSON.stringify([deviceId, conversationId]);
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
