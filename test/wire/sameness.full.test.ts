import { describe, expect, it } from "vitest";
import { compareBothWays } from "./both-ways.ts";

/** The soak sends all; `npm run test:full` a part, with the same seeds. */
const requests = process.env["MODE"] === "soak" ? 1000 : 250;

describe("the response wire, with many requests", () => {
  it.each([1, 2, 3, 4])(
    `answers ${requests} requests of seed %i as connect-node does`,
    async (seed) => {
      const { streamed } = await compareBothWays(seed, requests);
      expect(streamed).toBeGreaterThan(requests * 0.3);
    },
    240_000,
  );
});
