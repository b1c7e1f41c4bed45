import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();

// The recogniser is a service of the browser's maker, which no test can reach: this one hears what it is
// told to hear.
const recogniser = `globalThis.SpeechRecognition = class extends EventTarget {
  start() { globalThis.recogniser = this; }
  stop() { this.dispatchEvent(new Event("end")); }
  hear(...words) {
    const results = words.map((transcript) => [{ transcript }]);
    this.dispatchEvent(Object.assign(new Event("result"), { results }));
  }
  fail(error) {
    this.dispatchEvent(Object.assign(new Event("error"), { error }));
    this.dispatchEvent(new Event("end"));
  }
};`;

describe("dictation", () => {
  it("stands where Send is while the box is empty, and says where the sound goes", () =>
    visit(
      async ({ page }) => {
        const mic = page.getByRole("button", { name: "Dictate" });
        await mic.waitFor();
        expect(await page.locator("#send").isVisible()).toBe(false);
        await page.locator("#prompt").fill("x");
        expect(await mic.isVisible()).toBe(false);
        await page.getByRole("button", { name: "Send", exact: true }).waitFor();
        await page.locator("#prompt").fill("");
        await mic.click();
        await page
          .getByText("Your browser sends what you say to its maker's speech service")
          .waitFor();
        await page.evaluate(`recogniser.hear("Hello ", "world")`);
        expect(await page.locator("#prompt").inputValue()).toBe("Hello world");
        await page.getByRole("button", { name: "Stop dictating" }).click();
        await page.keyboard.press("Enter");
        await page.locator(".said", { hasText: "Hello world" }).waitFor();
      },
      { init: recogniser },
    ));

  it("is not offered where the browser has no recogniser", () =>
    visit(
      async ({ page }) => {
        expect(await page.locator("#mic").isVisible()).toBe(false);
        expect(await page.locator("#send").isVisible()).toBe(true);
      },
      { init: "delete globalThis.webkitSpeechRecognition; delete globalThis.SpeechRecognition;" },
    ));

  it("says why it does not work", () =>
    visit(
      async ({ page }) => {
        await page.getByRole("button", { name: "Dictate" }).click();
        await page.evaluate(`recogniser.fail("not-allowed")`);
        await page.getByText("The browser may not use the microphone here.").waitFor();
        await page.getByRole("button", { name: "Dictate" }).waitFor();
      },
      { init: recogniser },
    ));

  it.each([
    ["talking", `recogniser.dispatchEvent(new Event("speechstart"))`],
    ["words", `recogniser.hear("wait")`],
  ])("stops the voice: %s", (_, act) =>
    visit(
      async ({ page, send, exceeds, reaches, number }) => {
        await send("endless");
        await exceeds("played-samples", 10_000);
        await page.getByRole("button", { name: "Dictate" }).click();
        await page.evaluate(act);
        await reaches("idle");
        await exceeds("silent-at", 0);
        expect((await number("silent-at")) - (await number("stopped-at"))).toBeLessThan(100);
      },
      { init: recogniser },
    ),
  );
});

describe("typing over the voice", () => {
  it("stops it", () =>
    visit(async ({ page, send, exceeds, reaches, number }) => {
      await send("endless");
      await exceeds("played-samples", 10_000);
      await page.locator("#prompt").focus();
      await page.keyboard.type("W");
      await reaches("idle");
      await exceeds("silent-at", 0);
      expect((await number("silent-at")) - (await number("stopped-at"))).toBeLessThan(100);
      expect(await page.locator("#prompt").inputValue()).toBe("W");
    }));

  it("does not stop a reply that has not begun to sound", () =>
    visit(async ({ page, send, reaches, number }) => {
      await page.getByRole("button", { name: "Mute" }).click();
      await send("say: Words to be read.");
      await reaches("muted");
      await page.locator("#prompt").focus();
      await page.keyboard.type("The next prompt");
      expect(await page.locator("#turn").getAttribute("data-state")).toBe("muted");
      await reaches("idle");
      expect(await number("played-samples")).toBe(await number("received-samples"));
    }));
});
