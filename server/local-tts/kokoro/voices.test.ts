import { describe, expect, it } from "vitest";
import { findVoice, voiceNames } from "./voices.ts";

describe("findVoice", () => {
  it("has a hash and a gain for each English voice", () => {
    const known = voiceNames.map((name) => findVoice(name));
    expect(known).toHaveLength(28);
    for (const name of voiceNames) expect(name).toMatch(/^[ab][fm]_[a-z]+$/);
    for (const voice of known) {
      expect(voice?.content).toEqual({
        bytes: 522_240,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(voice?.gain).toBeGreaterThan(0.5);
      expect(voice?.gain).toBeLessThan(1.6);
    }
    expect(new Set(known.map((voice) => voice?.content.sha256)).size).toBe(28);
  });

  it("returns undefined for others", () => {
    for (const name of ["", "af", "constructor", "zf_xiaoni"]) {
      expect(findVoice(name)).toBeUndefined();
    }
  });
});
