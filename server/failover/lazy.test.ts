import { describe, expect, it } from "vitest";
import { createSpellingVoice } from "../../test/support/spelling-voice.ts";
import { lazyGenerator, lazySynthesizer } from "./lazy.ts";
import { createOfflineGenerator } from "../providers/offline.ts";

const never = new AbortController().signal;

describe("lazyGenerator", () => {
  it("loads at its start, and then answers", async () => {
    let loads = 0;
    const generator = lazyGenerator("offline", async () => {
      loads += 1;
      return createOfflineGenerator();
    });
    expect(loads).toBe(0);
    await generator.start?.(never);
    const parts = await Array.fromAsync(generator.generate({ text: "say: Hi." }, never));
    expect(parts).toEqual([{ type: "text", text: "Hi." }]);
    await generator.stop?.();
    expect(loads).toBe(1);
  });

  it("fails its start with what loading fails with, and its calls with a provider's error", async () => {
    const generator = lazyGenerator("gone", () => Promise.reject(new Error("no such package")));
    await expect(generator.start?.(never)).rejects.toThrow("no such package");
    expect(() => generator.generate({ text: "hi" }, never)).toThrow("gone: could not be loaded");
    await generator.stop?.();
  });
});

describe("lazySynthesizer", () => {
  it("loads at its start, and then speaks", async () => {
    const voice = lazySynthesizer({ name: "spelling" }, async () => createSpellingVoice());
    await voice.start?.(never);
    expect(await Array.fromAsync(voice.synthesize("Hi", {}, never))).toHaveLength(2);
  });
});
