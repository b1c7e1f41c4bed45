import { randomUUID } from "node:crypto";
import { throwIfAborted } from "../../core/async.ts";
import {
  type Embedding,
  MAX_MEMORY_CHARACTERS,
  type Memory,
  type MemoryStore,
  SHORT_TERM_MS,
} from "../../models/memory.ts";

type Kept = Memory & { readonly embedding?: Embedding };

/** Limits of a store in this process. */
export type ProcessStoreOptions = {
  /** Devices that are remembered. The one longest without a change goes first. 1,000 if absent. */
  readonly maxDevices?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
};

/** Keeps memories in this process: they are gone when it ends. */
export function createProcessMemoryStore(options: ProcessStoreOptions = {}): MemoryStore {
  const { maxDevices = 1000, now = Date.now } = options;
  const devices = new Map<string, readonly Kept[]>();
  const of = (deviceId: string) =>
    (devices.get(deviceId) ?? []).filter(
      ({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt > now(),
    );
  const put = (deviceId: string, memories: readonly Kept[]) => {
    devices.delete(deviceId);
    if (memories.length > 0) devices.set(deviceId, memories);
    const [oldest] = devices.keys();
    if (devices.size > maxDevices && oldest !== undefined) devices.delete(oldest);
  };
  return {
    async list(deviceId, signal) {
      throwIfAborted(signal);
      return of(deviceId).map(withoutEmbedding);
    },
    async nearest(deviceId, { to, count }, signal) {
      throwIfAborted(signal);
      return of(deviceId)
        .filter(({ embedding }) => embedding?.model === to.model)
        .map((memory) => ({ memory, distance: distanceOf(memory.embedding, to) }))
        .sort((a, b) => a.distance - b.distance)
        .slice(0, count)
        .map(({ memory }) => withoutEmbedding(memory));
    },
    async change(deviceId, { add, remove }, signal) {
      throwIfAborted(signal);
      const createdAt = now();
      const added = add.map((fact) => ({
        ...fact,
        id: randomUUID(),
        createdAt,
        ...(fact.term === "short" && { expiresAt: createdAt + SHORT_TERM_MS }),
      }));
      const kept = of(deviceId).filter(({ id }) => !remove.includes(id));
      put(deviceId, withinLimit([...kept, ...added]));
    },
    async forget(deviceId, ids, signal) {
      throwIfAborted(signal);
      const before = of(deviceId);
      const after = before.filter(({ id }) => ids !== "all" && !ids.includes(id));
      put(deviceId, after);
      return before.length - after.length;
    },
  };
}

function withoutEmbedding({ embedding: _, ...memory }: Kept): Memory {
  return memory;
}

/** The newest long-term memories that fit, then the newest short-term ones; in their order. */
function withinLimit(memories: readonly Kept[]): readonly Kept[] {
  const ranked = [...memories]
    .reverse()
    .sort((a, b) => Number(a.term === "short") - Number(b.term === "short"));
  let characters = 0;
  const fitting = new Set(
    ranked.filter(({ fact }) => {
      characters += Array.from(fact).length;
      return characters <= MAX_MEMORY_CHARACTERS;
    }),
  );
  return memories.filter((memory) => fitting.has(memory));
}

/** 0 for vectors of the same direction, 2 for opposite ones. */
function distanceOf(embedding: Embedding | undefined, { vector: to }: Embedding): number {
  const from = embedding?.vector ?? new Float32Array();
  const dot = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  const lengths = Math.sqrt(dot(from, from) * dot(to, to));
  return lengths === 0 ? 1 : 1 - dot(from, to) / lengths;
}
