import { describe, expect, it } from "vitest";
import {
  type EmbeddedChange,
  MAX_MEMORY_CHARACTERS,
  type MemoryStore,
  type NewFact,
  SHORT_TERM_MS,
} from "../../server/models/memory.ts";

const { signal } = new AbortController();
const long = (fact: string, key?: string): NewFact => ({
  fact,
  term: "long",
  ...(key !== undefined && { key }),
});
const add = (...facts: EmbeddedChange["add"]): EmbeddedChange => ({ add: facts, remove: [] });
let devices = 0;

/**
 * What every store of memories does. `at` runs a call as if it were made at another time (milliseconds
 * since 1970).
 */
export function describeMemoryStore(
  name: string,
  store: () => MemoryStore,
  at: <T>(time: number, run: () => Promise<T>) => Promise<T>,
): void {
  const device = () => `${name} device ${devices++}`;
  const factsOf = async (deviceId: string) =>
    (await store().list(deviceId, signal)).map(({ fact }) => fact);

  describe(`a memory store: ${name}`, () => {
    it("answers with what was added, oldest first, and with nothing for an unknown device", async () => {
      const id = device();
      expect(await store().list(id, signal)).toEqual([]);
      await store().change(id, add(long("One.", "one"), long("Two.")), signal);
      await store().change(id, add({ fact: "Three.", term: "short" }), signal);
      const listed = await store().list(id, signal);
      expect(listed).toEqual([
        {
          id: expect.any(String),
          fact: "One.",
          key: "one",
          term: "long",
          createdAt: expect.any(Number),
        },
        { id: expect.any(String), fact: "Two.", term: "long", createdAt: expect.any(Number) },
        expect.objectContaining({ fact: "Three.", term: "short", expiresAt: expect.any(Number) }),
      ]);
      expect(new Set(listed.map((memory) => memory.id)).size).toBe(3);
    });

    it("keeps devices apart, also where an id of another's memory is named", async () => {
      const [mine, other] = [device(), device()];
      await store().change(mine, add(long("Mine.")), signal);
      await store().change(other, add(long("Other's.")), signal);
      const [{ id = "" } = {}] = await store().list(mine, signal);
      expect(await store().forget(other, [id], signal)).toBe(0);
      await store().change(other, { add: [], remove: [id] }, signal);
      expect(await factsOf(mine)).toEqual(["Mine."]);
      expect(await store().forget(other, "all", signal)).toBe(1);
      expect(await factsOf(mine)).toEqual(["Mine."]);
    });

    it("removes and adds in one change", async () => {
      const id = device();
      await store().change(id, add(long("Old."), long("Stays.")), signal);
      const [{ id: old = "" } = {}] = await store().list(id, signal);
      await store().change(id, { add: [long("New.")], remove: [old, "unknown"] }, signal);
      expect(await factsOf(id)).toEqual(["Stays.", "New."]);
    });

    it("forgets by id and all, and says how many there were", async () => {
      const id = device();
      await store().change(id, add(long("A."), long("B."), long("C.")), signal);
      const [{ id: first = "" } = {}] = await store().list(id, signal);
      expect(await store().forget(id, [first, first, "unknown"], signal)).toBe(1);
      expect(await factsOf(id)).toEqual(["B.", "C."]);
      expect(await store().forget(id, "all", signal)).toBe(2);
      expect(await store().forget(id, "all", signal)).toBe(0);
      expect(await factsOf(id)).toEqual([]);
    });

    it("forgets short-term memories after a day, and long-term ones never", async () => {
      const id = device();
      const begun = Date.now() - SHORT_TERM_MS;
      await at(begun - 60_000, () =>
        store().change(id, add({ fact: "Late.", term: "short" }, long("Stays.")), signal),
      );
      await at(begun + 60_000, () =>
        store().change(id, add({ fact: "In time.", term: "short" }), signal),
      );
      expect(await factsOf(id)).toEqual(["Stays.", "In time."]);
      expect(await store().forget(id, "all", signal)).toBe(2);
    });

    it("keeps 10,240 characters a device: the oldest go, short-term ones first", async () => {
      const id = device();
      await store().change(id, add({ fact: "S".repeat(1000), term: "short" }), signal);
      for (let index = 0; index < 11; index++) {
        await store().change(id, add(long(`${index} ${"😀".repeat(900)}`)), signal);
      }
      const facts = await factsOf(id);
      const characters = facts.reduce((sum, fact) => sum + Array.from(fact).length, 0);
      expect(characters).toBeLessThanOrEqual(MAX_MEMORY_CHARACTERS);
      expect(facts.some((fact) => fact.startsWith("S"))).toBe(false);
      await store().change(id, add(long("x".repeat(500)), long("y".repeat(500))), signal);
      for (let index = 0; index < 25; index++) {
        await store().change(id, add(long(`${index} `.padEnd(500, "z"))), signal);
      }
      const last = await factsOf(id);
      expect(last).toHaveLength(20);
      expect(last.at(-1)).toMatch(/^24 /);
      expect(last[0]).toMatch(/^5 /);
    });

    it("finds the nearest by their vectors, of the same model and device alone", async () => {
      const [id, other] = [device(), device()];
      const at = (...vector: number[]) => ({ model: "m", vector: Float32Array.from(vector) });
      const facts = [
        { ...long("East."), embedding: at(1, 0, 0) },
        { ...long("Up."), embedding: at(0, 0, 1) },
        { ...long("North-east."), embedding: at(1, 1, 0) },
        { ...long("Of another model."), embedding: { ...at(1, 0), model: "n" } },
        long("Without a vector."),
      ];
      await store().change(id, add(...facts), signal);
      await store().change(other, add({ ...long("Other's."), embedding: at(1, 0, 0) }), signal);
      const near = await store().nearest(id, { to: at(2, 0.1, 0), count: 2 }, signal);
      expect(near.map(({ fact }) => fact)).toEqual(["East.", "North-east."]);
      const all = await store().nearest(id, { to: at(2, 0.1, 0), count: 9 }, signal);
      expect(all.map(({ fact }) => fact)).toEqual(["East.", "North-east.", "Up."]);
      const none = await store().nearest(id, { to: { ...at(1), model: "x" }, count: 9 }, signal);
      expect(none).toEqual([]);
    });

    it("takes texts as they are: quotes, statements, zero bytes and names of JavaScript", async () => {
      for (const text of [
        "'; DROP TABLE memories; --",
        "__proto__",
        "{{x}}",
        'naïve 😀 "q"',
        "100%_",
      ]) {
        const id = `${device()} ${text}`;
        await store().change(id, add(long(text, text)), signal);
        expect(await store().list(id, signal)).toEqual([
          expect.objectContaining({ fact: text, key: text }),
        ]);
      }
    });

    it("rejects with the signal's reason, and changes nothing", async () => {
      const id = device();
      const reason = new Error("enough");
      const aborted = AbortSignal.abort(reason);
      await expect(store().change(id, add(long("Never.")), aborted)).rejects.toBe(reason);
      await expect(store().list(id, aborted)).rejects.toBe(reason);
      await expect(store().forget(id, "all", aborted)).rejects.toBe(reason);
      expect(await factsOf(id)).toEqual([]);
    });
  });
}
