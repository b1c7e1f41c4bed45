import { describe, expect, it } from "vitest";
import { createPile } from "./envelope-buffer.ts";

function countedPile() {
  const held = { bytes: 0 };
  const pile = createPile({
    take: (bytes) => {
      held.bytes += bytes;
    },
    give: (bytes) => {
      held.bytes -= bytes;
    },
  });
  return { pile, held };
}

describe("createPile", () => {
  it("takes no more memory than is wanted", () => {
    const { pile, held } = countedPile();
    for (let byte = 0; byte < 700; byte++) pile.add(Uint8Array.of(byte), 700);
    expect(held.bytes).toBe(700);
  });

  it("takes memory only as bytes come, whatever is wanted", () => {
    const { pile, held } = countedPile();
    pile.add(Uint8Array.of(1), 5_000_000);
    expect(held.bytes).toBeLessThan(1000);
  });

  it("gives its memory back to the budget when it is taken", () => {
    const { pile, held } = countedPile();
    pile.add(new Uint8Array(4000), 8000);
    pile.take();
    expect(held.bytes).toBe(0);
    expect(pile.size).toBe(0);
  });

  it("does not change what was taken", () => {
    const { pile } = countedPile();
    pile.add(Uint8Array.of(1, 2), 100);
    const taken = pile.take();
    pile.add(Uint8Array.of(9, 9), 100);
    expect(taken).toEqual(Uint8Array.of(1, 2));
  });

  it("holds what it had when the budget refuses more", () => {
    const pile = createPile({
      take(bytes) {
        if (bytes > 600) throw new Error("busy");
      },
      give: () => undefined,
    });
    pile.add(new Uint8Array(600), 600);
    expect(() => pile.add(new Uint8Array(700), 1300)).toThrow("busy");
    expect(pile.size).toBe(600);
  });
});
