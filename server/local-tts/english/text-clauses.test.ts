import { describe, expect, it } from "vitest";
import { createTextClauses } from "./text-clauses.ts";

const latin = createTextClauses({ provider: "a voice", transliterate: false });
const any = createTextClauses({ provider: "a voice", transliterate: true });
const textsOf = (clauses: ReturnType<typeof any>) => Array.from(clauses, ({ text }) => text);

describe("createTextClauses", () => {
  it("writes a text out and cuts it", () =>
    expect(textsOf(latin("Dr. Li paid $3. Good!"))).toEqual([
      "doctor li paid three dollars.",
      "good!",
    ]));

  it("refuses a text in another script for the tier that asks, unless it may romanise it", () => {
    expect(() => textsOf(latin("Привет, мир."))).toThrow(
      expect.objectContaining({ provider: "a voice", kind: "unsupported" }),
    );
    expect(textsOf(any("Привет, мир."))).toEqual(["privet, mir."]);
  });

  it("has no clause for what cannot be said", () => expect(textsOf(any("— 😀 …"))).toEqual([]));

  it("begins a long text without working through all of it", () => {
    const clauses = any("so it goes on and on. ".repeat(100_000))[Symbol.iterator]();
    const fromMs = performance.now();
    expect(clauses.next().value?.text).toBe("so it goes on and on.");
    expect(performance.now() - fromMs).toBeLessThan(200);
  });
});
