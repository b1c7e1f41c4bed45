import { describe, expect, it } from "vitest";
import { measure, mostBytes } from "./prompt-length.ts";

describe("measure", () => {
  it("counts characters as people do, and what fits by the text's own script", () => {
    expect(measure("")).toEqual({ characters: 0, most: mostBytes, over: 0 });
    expect(measure("abc")).toEqual({ characters: 3, most: mostBytes, over: 0 });
    expect(measure("да")).toEqual({ characters: 2, most: mostBytes / 2, over: 0 });
    expect(measure("👩‍👩‍👧é")).toMatchObject({ characters: 2, over: 0 });
  });

  it("says how many are too many, with room for what goes in front", () => {
    expect(measure("x".repeat(mostBytes)).over).toBe(0);
    expect(measure("x".repeat(mostBytes), 5).over).toBe(5);
    expect(measure("ы".repeat(mostBytes / 2 + 3)).over).toBe(3);
  });
});
