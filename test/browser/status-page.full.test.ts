import { expect, it } from "vitest";
import { createHummingVoice } from "../support/failing-voice.ts";
import { findViolations } from "./axe.ts";
import { createSuite } from "./suite.ts";

const { visit, gateway } = createSuite({
  synthesizers: [createHummingVoice("hoarse", () => "at once"), createHummingVoice("clear")],
});

it.each([
  ["on a desk, light", { width: 1280, height: 800 }, "light"],
  ["on a phone, dark", { width: 360, height: 740 }, "dark"],
] as const)("the status is a page to read %s", async (_, viewport, colorScheme) => {
  await visit(
    async ({ page, send, reaches }) => {
      await send("say: Some words.");
      await reaches("speaking");
      await page.goto(`${gateway().url}status`);
      const row = page.locator("tr", { hasText: "speech/hoarse" });
      expect(await row.innerText()).toMatch(/0 %.*server.*hoarse: it was told to fail/s);
      const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
      expect(paper).toBe(colorScheme === "dark" ? "rgb(20, 24, 26)" : "rgb(250, 249, 246)");
      expect(await findViolations(page)).toEqual([]);
      const width = await page.evaluate("document.documentElement.scrollWidth");
      expect(width).toBe(viewport.width);
    },
    { viewport, colorScheme },
  );
});
