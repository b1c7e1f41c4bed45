import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit, gateway } = createSuite();
const attached = (page: Page) => page.getByRole("img", { name: "The picture to send" });

const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="red"/></svg>`;
const bmp = Buffer.from(
  "424d3a0000000000000036000000280000000100000001000000010018000000000004000000000000000000000000000000000000000000ff00",
  "hex",
);
const gif = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");

/** Gives a file to the page as a drop or a paste anywhere on it. */
function give(kind: "drop" | "paste", { name, type, text }: Record<string, string>): string {
  return `{
    const data = new DataTransfer();
    data.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}, { type: ${JSON.stringify(type)} }));
    const options = { bubbles: true, cancelable: true };
    const event = ${kind === "drop"}
      ? new DragEvent("drop", { ...options, dataTransfer: data })
      : new ClipboardEvent("paste", { ...options, clipboardData: data });
    document.querySelector("#turn").dispatchEvent(event);
  }`;
}

describe("a picture", () => {
  it.each(["drop", "paste"] as const)("may be given by a %s anywhere", (kind) =>
    visit(async ({ page, send, reaches }) => {
      await page.evaluate(give(kind, { name: "a.svg", type: "image/svg+xml", text: svg }));
      await attached(page).waitFor();
      await send("say: I see.");
      await reaches("speaking");
      const { screenshot } = gateway().prompts.at(-1) ?? {};
      expect(screenshot).toMatchObject({ mimeType: "image/jpeg", width: 40, height: 20 });
    }),
  );

  it.each([
    ["a.png", "image/png", undefined],
    ["a.bmp", "image/bmp", bmp],
    ["a.gif", "image/gif", gif],
    ["a.svg", "image/svg+xml", Buffer.from(svg)],
  ])("of any kind that the browser reads becomes JPEG: %s", (name, mimeType, bytes) =>
    visit(async ({ page, send, reaches }) => {
      const buffer = bytes ?? (await page.screenshot());
      await page.locator("#file").setInputFiles({ name, mimeType, buffer });
      await attached(page).waitFor();
      await send("say: I see.");
      await reaches("speaking");
      expect(gateway().prompts.at(-1)?.screenshot).toMatchObject({ mimeType: "image/jpeg" });
    }),
  );

  it("that is none is refused by its name, beside the box, and nothing else is touched", () =>
    visit(async ({ page }) => {
      await page.locator("#prompt").fill("my words");
      await page.evaluate(give("drop", { name: "notes.txt", type: "text/plain", text: "x" }));
      await page.getByText("notes.txt is not a picture.").waitFor();
      expect(await page.locator("#trouble").isVisible()).toBe(false);
      await page.evaluate(give("paste", { name: "b.heic", type: "image/heic", text: "x" }));
      await page.getByText("This browser cannot read b.heic as a picture.").waitFor();
      expect(await page.locator("#prompt").inputValue()).toBe("my words");
      await page.evaluate(give("drop", { name: "a.svg", type: "image/svg+xml", text: svg }));
      await attached(page).waitFor();
      expect(await page.locator("#refusal").isVisible()).toBe(false);
    }));

  it("may be a still of the screen; the capture ends at once", () =>
    visit(
      async ({ page, send, reaches }) => {
        await page.getByRole("button", { name: "Attach a still of the screen" }).click();
        await attached(page).waitFor();
        expect(
          await page.evaluate("shared.getTracks().map(({ readyState }) => readyState)"),
        ).toEqual(["ended"]);
        await send("say: I see.");
        await reaches("speaking");
        const { screenshot } = gateway().prompts.at(-1) ?? {};
        expect(screenshot).toMatchObject({ mimeType: "image/jpeg", width: 320, height: 180 });
      },
      // There is no screen to share here: a drawing stands in for it.
      {
        init: `navigator.mediaDevices.getDisplayMedia = async () => {
          const canvas = document.createElement("canvas");
          Object.assign(canvas, { width: 320, height: 180 });
          const context = canvas.getContext("2d");
          setInterval(() => context.fillRect(Math.random() * 300, 0, 20, 20), 20);
          return (globalThis.shared = canvas.captureStream(30));
        };`,
      },
    ));

  it("of the screen is not offered where the browser has none, and a refusal is told", async () => {
    await visit(
      async ({ page }) => {
        expect(await page.locator("#capture").isVisible()).toBe(false);
      },
      { init: "delete MediaDevices.prototype.getDisplayMedia;" },
    );
    await visit(
      async ({ page }) => {
        await page.locator("#capture").click();
        await page.getByText("The screen was not shared.").waitFor();
      },
      {
        init: `navigator.mediaDevices.getDisplayMedia = () =>
          Promise.reject(new DOMException("no", "NotAllowedError"));`,
      },
    );
  });
});
