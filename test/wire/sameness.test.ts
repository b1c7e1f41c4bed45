import { describe, expect, it } from "vitest";
import { compareBothWays } from "./both-ways.ts";

describe("the response wire", () => {
  it("answers 200 requests as connect-node does, byte by byte", async () => {
    const { streamed, statuses } = await compareBothWays(1, 200);
    expect(streamed).toBeGreaterThan(75);
    expect(Object.keys(statuses)).toEqual(
      expect.arrayContaining(["200", "400", "405", "415", "left"]),
    );
  });
});
