import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();

/** Keeps every context and worklet that the page makes, oldest first. */
const keepSound = `{
  globalThis.contexts = [];
  globalThis.worklets = [];
  globalThis.AudioContext = class extends AudioContext {
    constructor(...args) { super(...args); globalThis.contexts.push(this); }
  };
  globalThis.AudioWorkletNode = class extends AudioWorkletNode {
    constructor(...args) { super(...args); globalThis.worklets.push(this); }
  };
}`;

describe("the sound recovers", () => {
  it.each([
    ["a closed AudioContext", "contexts.at(-1).close()"],
    ["a failed worklet", `worklets.at(-1).dispatchEvent(new Event("processorerror"))`],
    ["another device", `navigator.mediaDevices.dispatchEvent(new Event("devicechange"))`],
  ])("from %s at the next turn", (_, breakIt) =>
    visit(
      async ({ page, send, reaches, number }) => {
        await send("say: Before.");
        await reaches("speaking");
        await reaches("idle");
        await page.evaluate(breakIt);
        await send("say: After it all.");
        await reaches("speaking");
        await reaches("idle");
        expect(await page.evaluate("contexts.length")).toBe(2);
        expect(await number("played-samples")).toBe(await number("received-samples"));
        expect(await page.locator("#sound-note").isVisible()).toBe(false);
      },
      { init: keepSound },
    ),
  );

  it("goes on with the words where it fails in the middle of a turn", () =>
    visit(
      async ({ page, send, reaches, exceeds }) => {
        await send("say: One sentence. Another sentence. And a last sentence.");
        await exceeds("played-samples", 10_000);
        await page.evaluate("contexts.at(-1).close()");
        await reaches("idle");
        expect(await page.locator(".reply").textContent()).toContain("And a last sentence.");
        await page.getByRole("button", { name: "Play" }).click();
        await reaches("speaking");
        await reaches("idle");
      },
      { init: keepSound },
    ));

  it("lets the device rest when idle, and wakes it for the next turn", () =>
    visit(
      async ({ page, send, reaches }) => {
        await send("say: Before.");
        await reaches("speaking");
        await reaches("idle");
        expect(await page.evaluate("contexts[0].state")).toBe("running");
        await expect
          .poll(() => page.evaluate("contexts[0].state"), { timeout: 15_000 })
          .toBe("suspended");
        await page.keyboard.press("Shift");
        expect(await page.evaluate("contexts[0].state")).toBe("suspended");
        await send("say: After.");
        await reaches("speaking");
        expect(await page.evaluate("contexts.length")).toBe(1);
      },
      { init: keepSound },
    ));

  it("asks iOS for playback, so that the bell's switch does not mute it", () =>
    visit(
      async ({ page }) => {
        expect(await page.evaluate("navigator.audioSession.type")).toBe("playback");
      },
      { init: `Object.defineProperty(navigator, "audioSession", { value: { type: "auto" } });` },
    ));

  // Headless, no page is ever hidden: this one is told that it is, and gets no frames to draw.
  const hidden = `{
    const frame = requestAnimationFrame;
    const waiting = [];
    globalThis.requestAnimationFrame = (paint) =>
      document.hidden ? waiting.push(paint) : frame(paint);
    globalThis.hide = (is) => {
      Object.defineProperty(document, "hidden", { value: is, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
      if (!is) for (const paint of waiting.splice(0)) frame(paint);
    };
  }`;

  it("goes on in a page that is hidden", () =>
    visit(
      async ({ page, send, exceeds, reaches, number }) => {
        await send("say: This goes on, whether or not somebody looks at it.");
        await exceeds("played-samples", 10_000);
        await page.evaluate("hide(true)");
        await reaches("idle");
        expect(await number("underruns")).toBe(0);
        expect(await number("played-samples")).toBe(await number("received-samples"));
        await page.evaluate("hide(false)");
        expect(await number("words-heard")).toBe(await number("words"));
      },
      { init: hidden },
    ));

  it("sounds in one tab at a time; the other one's words go on", () =>
    visit(async ({ page, send, exceeds, reaches, number }) => {
      await send("say: A first sentence here. And a second sentence here. And a third one.");
      await exceeds("played-samples", 10_000);
      const other = await page.context().newPage();
      await other.goto(page.url());
      await other.locator("#prompt").fill("say: Now I speak.");
      await other.keyboard.press("Enter");
      await page.getByText("Another tab speaks now.").waitFor();
      const played = await number("played-samples");
      await reaches("idle");
      expect(await number("played-samples")).toBe(played);
      expect(played).toBeLessThan(await number("received-samples"));
      expect(await page.locator(".reply").textContent()).toContain("And a third one.");
      await other.locator('#turn[data-state="speaking"]').waitFor();
      await other.close();
    }));

  it("brings the volume back from a mute to where it was", () =>
    visit(async ({ page }) => {
      await page.getByRole("button", { name: "Menu" }).click();
      const slider = page.getByRole("slider", { name: "Volume" });
      await slider.focus();
      for (let count = 0; count < 40; count++) await page.keyboard.press("ArrowLeft");
      expect(await slider.inputValue()).toBe("60");
      // Down to nothing with the mouse: one input after another, and a change at the end.
      await slider.evaluate((input: { value: string; dispatchEvent(event: Event): void }) => {
        for (const value of ["40", "10", "1", "0"]) {
          input.value = value;
          input.dispatchEvent(new Event("input"));
        }
        input.dispatchEvent(new Event("change"));
      });
      await page.keyboard.press("Escape");
      const mute = page.getByRole("button", { name: "Mute" });
      expect(await mute.getAttribute("aria-pressed")).toBe("true");
      await mute.click();
      expect(await page.evaluate(`localStorage.getItem("parley.volume")`)).toBe("0.6");
      expect(await page.locator("#volume").inputValue()).toBe("60");
    }));
});
