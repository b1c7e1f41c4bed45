import { describe, expect, it } from "vitest";
import { createOfflineModel } from "./offline.ts";

const noon = new Date(2026, 10, 21, 17, 4);
const languageModel = createOfflineModel({ now: () => noon });

async function reply(text: string): Promise<string> {
  const parts = await Array.fromAsync(
    languageModel.generate({ text }, new AbortController().signal),
  );
  return parts.map((part) => (part.type === "audio" ? "" : part.text)).join("");
}

describe("createOfflineModel", () => {
  it("returns what follows say: unchanged", async () => {
    expect(await reply("say: Привет,  мир!\n ok ")).toBe("Привет,  мир!\n ok ");
    expect(await reply("SAY:no space")).toBe("no space");
  });

  it("ignores an empty say:", async () => {
    expect(await reply("say:  ")).toContain("No language model");
  });

  it("tells the time", async () => {
    for (const question of ["What time is it?", "what's the time", "Который час?"]) {
      expect(await reply(question)).toMatch(/^It is 5:04 PM\.$/);
    }
  });

  it("tells the date", async () => {
    expect(await reply("What is the date today?")).toBe("Today is Saturday, November 21, 2026.");
  });

  it("answers greetings in several languages", async () => {
    for (const greeting of ["Hello!", "hi there", "Привет", "こんにちは", "Good evening"]) {
      expect(await reply(greeting)).toMatch(/^Hello!/);
    }
  });

  it("answers anything else with: no model is set up", async () => {
    expect(await reply("Who wrote Faust?")).toMatch(/^No language model is set up/);
  });
});
