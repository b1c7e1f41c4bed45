import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutChunks } from "./chunks.ts";

describe("cutChunks", () => {
  it("leaves a short text whole", () => expect([...cutChunks("Short.")]).toEqual(["Short."]));

  it("loses nothing and keeps every slice short", () => {
    const text = fc.string({ unit: "grapheme", minLength: 0, maxLength: 3_000, size: "max" });
    fc.assert(
      fc.property(text, (whole) => {
        const slices = [...cutChunks(whole)];
        expect(slices.join("")).toBe(whole);
        for (const slice of slices) expect(slice.length).toBeLessThanOrEqual(600);
      }),
      { numRuns: 30 },
    );
  });

  it("cuts behind a sentence rather than a clause, and behind a clause rather than a word", () => {
    const words = "word ".repeat(70);
    expect([...cutChunks(`${words}End. ${words}, ${words}`)][0]).toBe(`${words}End. `);
    expect([...cutChunks(`${words}so, ${words}${words}`)][0]).toBe(`${words}so, `);
    expect([...cutChunks(`${"x".repeat(590)} ${words}`)][0]).toBe(`${"x".repeat(590)} word `);
  });

  it("does not cut a character in two", () => {
    const slices = [...cutChunks("😀".repeat(1_000).replace("😀", "a"))];
    for (const slice of slices) expect(slice.isWellFormed()).toBe(true);
  });
});
