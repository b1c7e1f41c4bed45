import { describe, expect, it } from "vitest";
import { describeMemoryStore } from "../../../test/storage/memory-store-suite.ts";
import { createProcessMemoryStore } from "./process-store.ts";

let time: number | undefined;
const shared = createProcessMemoryStore({ now: () => time ?? Date.now() });

describeMemoryStore(
  "in the process",
  () => shared,
  async (at, run) => {
    time = at;
    try {
      return await run();
    } finally {
      time = undefined;
    }
  },
);

describe("createProcessMemoryStore", () => {
  it("remembers so many devices: the one longest without a change goes", async () => {
    const { signal } = new AbortController();
    const store = createProcessMemoryStore({ maxDevices: 2 });
    const change = { add: [{ fact: "Fact.", term: "long" }], remove: [] } as const;
    for (const device of ["a", "b", "a", "c"]) await store.change(device, change, signal);
    const counts = await Promise.all(["a", "b", "c"].map((device) => store.list(device, signal)));
    expect(counts.map(({ length }) => length)).toEqual([2, 0, 1]);
  });
});
