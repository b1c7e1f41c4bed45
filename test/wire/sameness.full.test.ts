import { describe, expect, it } from "vitest";
import { compareBothWays } from "./both-ways.ts";

describe("the response wire, with many requests", () => {
  it.each([1, 2, 3, 4])(
    "answers 1000 requests of seed %i as connect-node does",
    async (seed) => {
      const { streamed } = await compareBothWays(seed, 1000);
      expect(streamed).toBeGreaterThan(300);
    },
    240_000,
  );
});
