import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { wavOf } from "../analysis/analyzing.ts";
import { writeModel } from "../support/analysis-models.ts";
import { findViolations } from "./axe.ts";
import { createSuite } from "./suite.ts";
import type { Visit } from "./visit.ts";

const folder = mkdtempSync(join(tmpdir(), "page-analysis-"));
afterAll(() => rmSync(folder, { recursive: true }));

const { visit, gateway } = createSuite({
  env: {
    STORAGE_ENABLED: "true",
    DATA_DIR: folder,
    ANALYSIS_MODEL: writeModel(folder, { kind: "logit" }),
  },
});

/** Three windows, of which the second is much louder: the model hears levels. */
const sound = {
  name: "two voices.wav",
  mimeType: "audio/wav",
  buffer: wavOf({ seconds: 10, levels: [0.05, 0.9, 0.05] }),
};

async function openCheck({ page }: Visit): Promise<void> {
  await page.getByRole("link", { name: "Check a voice" }).click();
  await page.getByRole("heading", { name: "Is this voice real?" }).waitFor();
}

async function check(visit: Visit, file = sound): Promise<void> {
  await openCheck(visit);
  await visit.page.locator("#analysis-file").setInputFiles(file);
  await visit.page.locator("#analysis-result").waitFor();
}

const files = () =>
  readdirSync(join(folder, "blobs/analysis"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

describe("the check of a voice", () => {
  it("shows a score for each four seconds, what they come to, and the model with its limits", () =>
    visit(async (opened) => {
      await check(opened);
      const { page } = opened;
      const verdicts = ["Sounds real", "Sounds synthetic", "Uncertain"];
      expect(verdicts).toContain(await page.locator("#analysis-verdict").textContent());
      const windows = await page.locator("#analysis-windows button").allTextContents();
      expect(windows.map((each) => each.split(" ")[0])).toEqual([
        "0:00–0:04",
        "0:04–0:08",
        "0:08–0:10",
      ]);
      const scores = windows.map((each) => Number.parseInt(each.split(" ")[1] ?? "", 10));
      const [first = 0, second = 0, third = 0] = scores;
      expect(second).toBeGreaterThan(Math.max(first, third));
      const facts = await page.locator("#analysis-facts").textContent();
      expect(facts).toMatch(/Mean score\d+%Highest\d+%Threshold50%Length0:10Model\S/);
      expect(await page.locator("#analysis-limits").textContent()).not.toBe("");
    }));

  it("draws the waveform and the scores over it", () =>
    visit(async (opened) => {
      await check(opened);
      const { page } = opened;
      await page.locator("#analysis-play:enabled").waitFor();
      // How many pixels of a column are painted, in the middle of each window.
      const painted = (await page.locator("#analysis-chart").evaluate((canvas: never) => {
        const { width, height, getContext } = canvas as {
          width: number;
          height: number;
          getContext: (kind: string) => { getImageData(...at: number[]): { data: Uint8Array } };
        };
        const context = getContext.call(canvas, "2d");
        return [0.2, 0.6].map((share) => {
          const { data } = context.getImageData(Math.floor(width * share), 0, 12, height);
          return data.filter((_, at) => at % 4 === 3 && (data[at] ?? 0) > 0).length;
        });
      })) as number[];
      expect(painted[0]).toBeGreaterThan(0);
      expect(painted[1]).toBeGreaterThan(4 * (painted[0] ?? 0));
    }));

  it("plays from any window", () =>
    visit(async (opened) => {
      await check(opened);
      const { page } = opened;
      await page.getByRole("button", { name: /^Play 0:04–0:08/ }).click();
      await page.locator("#analysis-windows [data-sounding]", { hasText: "0:04" }).waitFor();
      await expect
        .poll(() => page.locator("#analysis-position").inputValue().then(Number))
        .toBeGreaterThan(4.5);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Play", exact: true }).waitFor();
      const stands = await page.locator("#analysis-position").inputValue();
      await page.waitForTimeout(300);
      expect(await page.locator("#analysis-position").inputValue()).toBe(stands);
    }));

  it("is found again after a reload, and deleted with its file", () =>
    visit(async (opened) => {
      const before = files();
      const other = { ...sound, name: "mine alone.wav", buffer: wavOf({ seconds: 5 }) };
      await check(opened, other);
      const { page } = opened;
      expect(files()).toHaveLength(before.length + 1);
      await page.reload();
      const row = page.locator("#analysis-list li", { hasText: other.name }).first();
      await row.waitFor();
      expect(await row.textContent()).toMatch(/(Sounds|Uncertain).*\d+%/);
      await row.getByRole("button", { name: other.name, exact: true }).click();
      await page.locator("#analysis-play:enabled").waitFor();
      page.once("dialog", (dialog) => dialog.accept());
      await page.getByRole("button", { name: "Delete all" }).click();
      await page.locator("#analysis-history").waitFor({ state: "hidden" });
      expect(await page.locator("#analysis-result").isVisible()).toBe(false);
      await expect.poll(files).toEqual(before);
    }));

  it("takes a file that is dropped anywhere", () =>
    visit(async (opened) => {
      await openCheck(opened);
      const { page } = opened;
      const base64 = sound.buffer.toString("base64");
      await page.evaluate(`{
        const bytes = Uint8Array.from(atob("${base64}"), (letter) => letter.charCodeAt(0));
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], "dropped.wav", { type: "audio/wav" }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
      }`);
      await page.locator("#analysis-result").waitFor();
      expect(await page.locator("#analysis-name").textContent()).toBe("dropped.wav");
    }));

  it("records the microphone", () =>
    visit(
      async (opened) => {
        await openCheck(opened);
        const { page } = opened;
        await page.getByRole("button", { name: "Record", exact: true }).click();
        const stop = page.getByRole("button", { name: "Stop and check" });
        await stop.waitFor();
        await page.waitForTimeout(2500);
        await stop.click();
        await page.locator("#analysis-result").waitFor();
        expect(await page.locator("#analysis-name").textContent()).toMatch(/^recording-.*\.webm$/);
        expect(await page.locator("#analysis-windows li").count()).toBe(1);
      },
      // Headless Chromium has no microphone: a tone stands in for it.
      {
        init: `navigator.mediaDevices.getUserMedia = async () => {
          const context = new AudioContext();
          const destination = context.createMediaStreamDestination();
          const tone = context.createOscillator();
          tone.connect(destination);
          tone.start();
          return destination.stream;
        };`,
      },
    ));

  it("says why a file is refused, and takes another", () =>
    visit(async (opened) => {
      await openCheck(opened);
      const { page } = opened;
      const text = { name: "a.wav", mimeType: "audio/wav", buffer: Buffer.from("not a sound") };
      await page.locator("#analysis-file").setInputFiles(text);
      await page.locator("#analysis-trouble", { hasText: "The gateway says:" }).waitFor();
      await page.locator("#analysis-file").setInputFiles(sound);
      await page.locator("#analysis-result").waitFor();
      expect(await page.locator("#analysis-trouble").isVisible()).toBe(false);
    }));

  it.each(["light", "dark"] as const)(
    "has no violation by axe, in the %s page at 320 px",
    (colorScheme) =>
      visit(
        async (opened) => {
          await check(opened);
          await opened.page.locator("#analysis-play:enabled").waitFor();
          expect(await findViolations(opened.page)).toEqual([]);
          const overflow = await opened.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          expect(overflow).toBeLessThanOrEqual(0);
        },
        { colorScheme, viewport: { width: 320, height: 640 } },
      ),
  );

  it("stands beside the conversation, which goes on", () =>
    visit(async (opened) => {
      const { page, send, reaches } = opened;
      await send("endless");
      await reaches("speaking");
      await openCheck(opened);
      expect(await page.locator("#composer").isVisible()).toBe(false);
      expect(gateway().activeTurns()).toBe(1);
      await page.getByRole("link", { name: "Talk" }).click();
      // The address changes first, and the page follows it.
      await page.locator("#composer").waitFor();
      await reaches("speaking");
    }));
});

describe("the model that ships", () => {
  const data = mkdtempSync(join(tmpdir(), "page-baseline-"));
  afterAll(() => rmSync(data, { recursive: true }));
  const { visit: visitShipped } = createSuite({ env: { STORAGE_ENABLED: "true", DATA_DIR: data } });

  it("takes a recorded person for no machine, and says what it cannot do", () =>
    visitShipped(async (opened) => {
      const path = new URL("../../tools/authenticity-baseline/recorded.wav", import.meta.url);
      const buffer = readFileSync(path);
      await check(opened, { name: "recorded.wav", mimeType: "audio/wav", buffer });
      const { page } = opened;
      const verdict = await page.locator("#analysis-verdict").textContent();
      expect(["Sounds real", "Uncertain"]).toContain(verdict);
      expect((await page.locator("#analysis-limits").textContent())?.length).toBeGreaterThan(40);
    }));
});
