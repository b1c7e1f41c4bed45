import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();
const permissions = ["clipboard-read", "clipboard-write"];

describe("a turn that ended", () => {
  it("can be played again, paused, and sought by the keyboard", () =>
    visit(async ({ page, send, reaches, number }) => {
      await send("say: One two three four five six seven eight nine ten.");
      await reaches("speaking");
      await reaches("idle");
      await page.getByRole("button", { name: "Play" }).click();
      await reaches("speaking");
      await page.getByRole("button", { name: "Pause" }).click();
      await reaches("paused");
      await page.getByRole("button", { name: "Play" }).click();
      await reaches("speaking");
      const slider = page.getByRole("slider", { name: "Position" });
      await slider.focus();
      await page.keyboard.press("End");
      await reaches("idle");
      await slider.focus();
      await page.keyboard.press("ArrowRight");
      await reaches("speaking");
      expect(await slider.getAttribute("aria-valuetext")).toMatch(/^0:0\d of 0:03$/);
      await page.keyboard.press("Escape");
      await reaches("idle");
      expect(await number("turns")).toBe(1);
    }));

  it("can be copied as it was written", () =>
    visit(
      async ({ page, send, reaches }) => {
        await send("say: **Bold** words.");
        await reaches("idle");
        await page.getByRole("button", { name: "Copy the reply" }).click();
        await page.getByRole("button", { name: "Copied" }).waitFor();
        expect(await page.evaluate("navigator.clipboard.readText()")).toBe("**Bold** words.");
      },
      { permissions },
    ));

  it("can be downloaded as the WAV file that was heard", () =>
    visit(async ({ page, send, reaches, number }) => {
      await send("say: To be kept.");
      await reaches("speaking");
      await reaches("idle");
      const downloading = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download as WAV" }).click();
      const download = await downloading;
      expect(download.suggestedFilename()).toBe("parley.wav");
      const file = await readFile(await download.path());
      const samples = await number("received-samples");
      expect(file.subarray(0, 4).toString()).toBe("RIFF");
      expect(file.readUInt32LE(24)).toBe(48_000);
      expect(file.readUInt32LE(40)).toBe(samples * 2);
      expect(file.length).toBe(44 + samples * 2);
      expect(file.subarray(44).some((byte) => byte !== 0)).toBe(true);
    }));

  it("shows what took how long, and the raw events, which can be copied", () =>
    visit(
      async ({ page, send, reaches }) => {
        await send("say: A sentence. And one more.");
        await reaches("speaking");
        await reaches("idle");
        await page.getByText(/^first sound \d\.\d\d s$/).click();
        const rows = page.locator(".waterfall .what");
        const labels = await rows.allTextContents();
        expect(labels[0]).toBe("Asked");
        expect([...labels].sort()).toEqual(["All received", "Asked", "First sound", "First word"]);
        const times = (await page.locator(".waterfall .when").allTextContents()).map(
          Number.parseFloat,
        );
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        await page.getByText("Raw events").click();
        await page.getByRole("button", { name: "Copy the events" }).click();
        await page.getByRole("button", { name: "Copied" }).waitFor();
        const raw = String(await page.evaluate("navigator.clipboard.readText()"));
        const events = raw.split("\n").map((line) => JSON.parse(line));
        expect(events[0]).toMatchObject({ type: "begin", turnId: expect.any(String) });
        expect(events.map(({ type }) => type)).toEqual(
          expect.arrayContaining(["begin", "source", "text", "audio", "heard", "end"]),
        );
        expect(events.every(({ atMs }) => atMs >= 0)).toBe(true);
      },
      { permissions },
    ));

  it("has a line of its own after it was stopped, from where it was left", () =>
    visit(async ({ page, send, exceeds, reaches }) => {
      await send("endless");
      await exceeds("played-samples", 30_000);
      await page.keyboard.press("Escape");
      await reaches("idle");
      await page.getByRole("button", { name: "Play" }).click();
      await reaches("speaking");
      expect(await page.locator(".time").textContent()).not.toMatch(/^0:00/);
      await page.keyboard.press("Escape");
    }));

  it("may be played while another reply comes in, whose words go on", () =>
    visit(async ({ page, send, exceeds, reaches, number }) => {
      await send("say: The first one, with quite some words to be heard again.");
      await reaches("speaking");
      await reaches("idle");
      await send("say: The second one. It goes on for a while. And then it ends.");
      await exceeds("played-samples", 10_000);
      await page.getByRole("button", { name: "Play" }).first().click();
      await page.waitForTimeout(500);
      expect(await page.locator("#turn").getAttribute("data-state")).toBe("speaking");
      expect(await page.locator(".reply").last().textContent()).toContain("And then it ends.");
      expect(await number("played-samples")).toBeLessThan(await number("received-samples"));
      await reaches("idle");
    }));
});

describe("a turn that comes in", () => {
  // A press takes longer than it takes the next words to come.
  const growing = `reply:${"Some more words to take a line. ¦".repeat(30)}`;

  it("is paused by a press during which the reply pushes the button away", () =>
    visit(async ({ page, send, reaches }) => {
      await send(growing);
      await reaches("speaking");
      const pause = page.getByRole("button", { name: "Pause" });
      const topOf = async () => (await pause.boundingBox())?.y;
      await pause.hover();
      await page.mouse.down();
      const before = await topOf();
      await expect.poll(topOf, { timeout: 15_000, interval: 20 }).not.toBe(before);
      await page.mouse.up();
      await reaches("paused");
      // One press is one click.
      await page.waitForTimeout(300);
      expect(await page.locator("#turn").getAttribute("data-state")).toBe("paused");
    }));

  it("sounds on after a press that is taken back", () =>
    visit(async ({ page, send, reaches, number, exceeds }) => {
      await send(growing);
      await reaches("speaking");
      await page.getByRole("button", { name: "Pause" }).hover();
      await page.mouse.down();
      await page.mouse.move(10, 10, { steps: 5 });
      await page.mouse.up();
      await exceeds("played-samples", (await number("played-samples")) + 10_000);
    }));
});
