import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { createPile } from "./envelopes-pile.ts";

describe("createPile", () => {
  it("takes no more memory than is wanted", () => {
    const budget = { maxBytes: 10_000, heldBytes: 0 };
    const pile = createPile(budget);
    for (let byte = 0; byte < 700; byte++) pile.add(Uint8Array.of(byte), 700);
    expect(budget.heldBytes).toBe(700);
  });

  it("takes memory only as bytes come, whatever is wanted", () => {
    const budget = { maxBytes: 10_000_000, heldBytes: 0 };
    createPile(budget).add(Uint8Array.of(1), 5_000_000);
    expect(budget.heldBytes).toBeLessThan(1000);
  });

  it("gives its memory back to the budget when it is taken", () => {
    const budget = { maxBytes: 10_000, heldBytes: 0 };
    const pile = createPile(budget);
    pile.add(new Uint8Array(4000), 8000);
    pile.take();
    expect(budget.heldBytes).toBe(0);
    expect(pile.size).toBe(0);
  });

  it("does not change what was taken", () => {
    const pile = createPile({ maxBytes: 10_000, heldBytes: 0 });
    pile.add(Uint8Array.of(1, 2), 100);
    const taken = pile.take();
    pile.add(Uint8Array.of(9, 9), 100);
    expect(taken).toEqual(Uint8Array.of(1, 2));
  });

  it("refuses with RESOURCE_EXHAUSTED what all piles together may not hold", () => {
    const budget = { maxBytes: 1000, heldBytes: 0 };
    createPile(budget).add(new Uint8Array(600), 600);
    const second = createPile(budget);
    expect(() => second.add(new Uint8Array(600), 600)).toThrowError(
      expect.objectContaining({ code: Code.ResourceExhausted }),
    );
    expect(budget.heldBytes).toBe(600);
  });
});
