import { describe, expect, it } from "vitest";
import { createHummingVoice } from "../support/failing-voice.ts";
import { createSuite } from "./suite.ts";

describe("who answers", () => {
  const spoken: (string | undefined)[] = [];
  const azure = createHummingVoice("azure", undefined, {
    voices: ["en-US-AriaNeural", "de-DE-KatjaNeural"],
    languages: ["en", "de"],
  });
  const { visit } = createSuite({
    synthesizers: [
      {
        ...azure,
        synthesize(text, voice, signal) {
          spoken.push(voice.name);
          return azure.synthesize(text, voice, signal);
        },
      },
      createHummingVoice("edge", undefined, { voices: ["en-US-JennyNeural"] }),
    ],
  });

  it("stands in a header that stays", () =>
    visit(
      async ({ page, send, reaches }) => {
        await page.locator("#who", { hasText: "test · Azure Aria" }).waitFor();
        await send(`say: ${"A sentence to fill the page with. ".repeat(8)}`);
        await reaches("speaking");
        await page.waitForTimeout(2500);
        expect(Number(await page.evaluate("scrollY"))).toBeGreaterThan(100);
        const box = await page.locator("#who").boundingBox();
        expect(box?.y).toBeLessThan(50);
        expect(await page.locator("#who").textContent()).toBe("test · Azure Aria");
      },
      { viewport: { width: 400, height: 500 } },
    ));

  it("opens into what each can do", () =>
    visit(async ({ page }) => {
      await page.locator("#who", { hasText: "Azure" }).click();
      await page.getByRole("dialog", { name: "Who can answer and speak" }).waitFor();
      const rows = await page.locator("#tiers li").allTextContents();
      expect(rows).toEqual([
        "test — answers",
        "Azure — speaks, times every word; languages: English, German; voices: 2",
        "Edge — speaks, times every word; voices: 1",
      ]);
    }));

  it("offers the voices of each tier, and remembers the choice", () =>
    visit(async ({ page, send, reaches }) => {
      await page.locator("#who", { hasText: "Azure" }).waitFor();
      await page.getByRole("button", { name: "Menu" }).click();
      const picker = page.getByRole("combobox", { name: "Voice" });
      expect(await picker.locator("optgroup").count()).toBe(2);
      expect(await picker.locator("option").allTextContents()).toEqual([
        "Automatic",
        "Aria (American English)",
        "Katja (German (Germany))",
        "Jenny (American English)",
      ]);
      await picker.selectOption("de-DE-KatjaNeural");
      await page.keyboard.press("Escape");
      await page.locator("#who", { hasText: "Azure Katja" }).waitFor();
      await send("say: Good day.");
      await reaches("speaking");
      expect(spoken.at(-1)).toBe("de-DE-KatjaNeural");
      await page.reload();
      await page.locator("#who", { hasText: "Azure Katja" }).waitFor();
    }));
});

describe("without a model", () => {
  const { visit } = createSuite({ noModel: true });

  it("the prompt is honest, and what is typed is spoken with no say:", () =>
    visit(async ({ page, send, reaches }) => {
      await page.getByRole("heading", { name: "Type something to hear." }).waitFor();
      expect(await page.locator("#prompt").getAttribute("placeholder")).toBe(
        "Type something to hear…",
      );
      expect(await page.getByRole("button", { name: "What time is it?" }).count()).toBe(0);
      await send("Good evening, ladies and gentlemen.");
      await reaches("speaking");
      expect(await page.locator(".said").textContent()).toBe(
        "You: Good evening, ladies and gentlemen.",
      );
      expect(await page.locator(".reply").textContent()).toBe(
        "Parley: Good evening, ladies and gentlemen.",
      );
      await send("say: As before.");
      await reaches("speaking");
      expect(await page.locator(".reply").last().textContent()).toBe("Parley: As before.");
      await page.locator("#who", { hasText: "No model" }).waitFor();
    }));
});

describe("the page tells of a voice that is missing", () => {
  describe("where every voice is down", () => {
    const { visit } = createSuite({
      synthesizers: [createHummingVoice("azure", () => "at once"), { ...tone() }],
    });

    it("that a tone is heard", () =>
      visit(async ({ page, send, reaches }) => {
        await send("say: Nobody can say this.");
        await page
          .getByText("No voice is available: you hear a tone in place of the words.")
          .waitFor();
        await page.getByText("Azure did not answer; Tone takes over.").waitFor();
        await reaches("idle");
      }));
  });

  describe("where none is left", () => {
    const { visit } = createSuite({
      synthesizers: [createHummingVoice("azure", () => "at once")],
    });

    it("that the text is complete, and is no failure", () =>
      visit(async ({ page, send, reaches }) => {
        await send("say: Nobody can say this. Nor that.");
        await page.getByText("No voice is available. The text is complete.").waitFor();
        await reaches("idle");
        expect(await page.locator(".reply").textContent()).toContain("Nor that.");
        expect(await page.locator("#trouble").isVisible()).toBe(false);
      }));
  });

  describe("where none speaks the language", () => {
    const { visit } = createSuite({
      synthesizers: [createHummingVoice("azure", undefined, { languages: ["en"] })],
    });

    it("that the text is complete", () =>
      visit(async ({ page, send, reaches }) => {
        await send("say: Добрый вечер, дамы и господа.");
        await page.getByText("No voice here speaks this language. The text is complete.").waitFor();
        await reaches("idle");
        expect(await page.locator(".reply").textContent()).toContain("дамы и господа.");
      }));
  });
});

function tone() {
  return createHummingVoice("tone", undefined, { isLastResort: true, voices: [] });
}
