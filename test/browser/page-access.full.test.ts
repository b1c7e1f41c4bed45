import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();
const threeSentences = "say: The first sentence. Then comes another one. And this is the last.";

describe("the page is for everybody", () => {
  it("names every control, and sends nothing that is blank", () =>
    visit(async ({ page, send, number }) => {
      await page.locator("#prompt").fill("x");
      const tree = await page.locator("body").ariaSnapshot();
      const controls = tree.match(/- (button|textbox|radio|slider|checkbox|link)\b.*/g) ?? [];
      expect(controls.length).toBeGreaterThan(8);
      expect(controls.filter((control) => !/^- \w+ "/.test(control))).toEqual([]);
      await send(" \n ");
      expect(await number("turns")).toBe(0);
    }));

  it("fits on a screen 360 pixels wide", () =>
    visit(
      async ({ page, send, reaches }) => {
        const width = "document.documentElement.scrollWidth";
        expect(await page.evaluate(width)).toBe(360);
        await send(`say: A ${"very".repeat(40)} long word.`);
        await reaches("speaking");
        expect(await page.evaluate(width)).toBe(360);
      },
      { viewport: { width: 360, height: 740 } },
    ));

  it("works from the keyboard alone", () =>
    visit(async ({ page, exceeds, reaches }) => {
      await page.locator("#prompt").focus();
      await page.keyboard.type("two");
      await page.keyboard.press("Shift+Enter");
      await page.keyboard.type("lines");
      expect(await page.locator("#prompt").inputValue()).toBe("two\nlines");
      await page.locator("#prompt").fill("endless");
      await page.keyboard.press("Enter");
      await exceeds("played-samples", 0);
      for (let count = 0; count < 3; count++) {
        await page.keyboard.press("Tab");
        if (await page.locator("#stop:focus").count()) break;
      }
      await page.keyboard.press("Enter");
      await reaches("idle");
      expect(await page.locator("#prompt:focus").count()).toBe(1);
    }));

  it("plays without moving pictures where motion is not wanted", () =>
    visit(
      async ({ send, reaches, number }) => {
        await send(threeSentences);
        await reaches("speaking");
        await reaches("idle");
        expect(await number("played-samples")).toBe(await number("received-samples"));
      },
      { reducedMotion: "reduce" },
    ));
});
