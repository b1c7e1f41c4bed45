import { describe, expect, it } from "vitest";
import { compareBothWays } from "./both-ways.ts";

describe("the response wire", () => {
  it("answers 400 requests as connect-node does, byte by byte", async () => {
    const { streamed, statuses } = await compareBothWays(1, 400);
    expect(streamed).toBeGreaterThan(150);
    expect(Object.keys(statuses)).toEqual(
      expect.arrayContaining(["200", "400", "405", "415", "left"]),
    );
  });
});
