import { describe, expect, it } from "vitest";
import { createModelInput } from "./engine.ts";

describe("createModelInput", () => {
  it("puts blanks between ids, and leaves out unknown symbols", () => {
    const toInput = createModelInput({ symbols: ["_", "a", "b"], toneOffset: 7, language: 2 });
    expect(toInput({ symbols: ["_", "b", "?", "a"], tones: [0, 2, 1, 0] })).toEqual({
      phonemes: BigInt64Array.of(0n, 0n, 0n, 2n, 0n, 1n, 0n),
      tones: BigInt64Array.of(0n, 7n, 0n, 9n, 0n, 7n, 0n),
      languages: BigInt64Array.of(0n, 2n, 0n, 2n, 0n, 2n, 0n),
    });
  });
});
