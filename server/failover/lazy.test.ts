import { describe, expect, it } from "vitest";
import { createSpellingVoice } from "../../test/support/spelling-voice.ts";
import { createOfflineModel } from "../providers/offline.ts";
import { lazyLanguageModel, lazySynthesizer } from "./lazy.ts";

const never = new AbortController().signal;

describe("lazyLanguageModel", () => {
  it("loads at its start, and then answers", async () => {
    let loads = 0;
    const languageModel = lazyLanguageModel("offline", async () => {
      loads += 1;
      return createOfflineModel();
    });
    expect(loads).toBe(0);
    await languageModel.start?.(never);
    const parts = await Array.fromAsync(languageModel.generate({ text: "say: Hi." }, never));
    expect(parts).toEqual([{ type: "text", text: "Hi." }]);
    await languageModel.stop?.();
    expect(loads).toBe(1);
  });

  it("fails its start with what loading fails with, and its calls with a provider's error", async () => {
    const languageModel = lazyLanguageModel("gone", () =>
      Promise.reject(new Error("no such package")),
    );
    await expect(languageModel.start?.(never)).rejects.toThrow("no such package");
    expect(() => languageModel.generate({ text: "hi" }, never)).toThrow(
      "gone: could not be loaded",
    );
    await languageModel.stop?.();
  });
});

describe("lazySynthesizer", () => {
  it("loads at its start, and then speaks", async () => {
    const voice = lazySynthesizer({ name: "spelling" }, async () => createSpellingVoice());
    await voice.start?.(never);
    expect(await Array.fromAsync(voice.synthesize("Hi", {}, never))).toHaveLength(2);
  });
});
