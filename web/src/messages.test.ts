import { describe, expect, it } from "vitest";
import { choose, handover } from "./messages.ts";

describe("choose", () => {
  it.each<[string[], string]>([
    [["ru-RU", "en"], "ru"],
    [["en-GB", "ru"], "en"],
    [["de", "ru-UA", "en"], "ru"],
    [["fr"], "en"],
    [[], "en"],
  ])("takes the first language that the page speaks: %j", (languages, chosen) => {
    expect(choose(languages)).toBe(chosen);
  });
});

describe("handover", () => {
  const source = { kind: "speech", tier: "edge", from: "azure", reason: "server" } as const;

  it("tells a hand-over from a tier that never began", () => {
    expect(handover(source, true)).toBe("Azure stopped; Edge goes on.");
    expect(handover(source, false)).toBe("Azure did not answer; Edge takes over.");
  });
});
