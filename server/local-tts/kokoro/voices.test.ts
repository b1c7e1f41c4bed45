import { describe, expect, it } from "vitest";
import { findVoice, voiceNames } from "./voices.ts";

describe("findVoice", () => {
  it("knows each English voice by a hash of its own, and its loudness", () => {
    const speakers = voiceNames.map((name) => findVoice(name));
    expect(speakers).toHaveLength(28);
    for (const name of voiceNames) expect(name).toMatch(/^[ab][fm]_[a-z]+$/);
    for (const speaker of speakers) {
      expect(speaker?.content).toEqual({
        bytes: 522_240,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expect(speaker?.gain).toBeGreaterThan(0.5);
      expect(speaker?.gain).toBeLessThan(1.6);
    }
    expect(new Set(speakers.map((speaker) => speaker?.content.sha256)).size).toBe(28);
  });

  it("knows no other", () => {
    for (const name of ["", "af", "constructor", "zf_xiaoni"]) {
      expect(findVoice(name)).toBeUndefined();
    }
  });
});
