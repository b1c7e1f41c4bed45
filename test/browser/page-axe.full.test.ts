import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { startShapedProxy } from "../support/shaped-proxy.ts";
import { findViolations } from "./axe.ts";
import { createSuite } from "./suite.ts";
import type { Visit } from "./visit.ts";

const { visit, gateway } = createSuite();
const markdown =
  "reply:A **list**:\n\n1. One\n2. Two with [a link](https://example.org)\n\n## A heading\n\n```\ncode\n```\n\n| a | b |\n| --- | --- |\n| c | d |\n\n> Said.";

async function interrupt({ page }: Visit): Promise<void> {
  const hardwareId = String(await page.evaluate(`localStorage.getItem("parley.hardware-id")`));
  const transport = createConnectTransport({ baseUrl: gateway().url, httpVersion: "1.1" });
  await createClient(StreamingService, transport).interruptSession({ hardwareId });
}

/** Brings the page into a state. */
const states: Readonly<Record<string, (visit: Visit) => Promise<unknown>>> = {
  empty: async () => undefined,
  speaking: async ({ send, reaches }) => {
    await send("endless");
    await reaches("speaking");
  },
  muted: async ({ page, send, reaches }) => {
    await page.getByRole("button", { name: "Mute" }).click();
    await send("endless");
    await reaches("muted");
  },
  paused: async ({ page, send, reaches }) => {
    await send("endless");
    await reaches("speaking");
    await page.getByRole("button", { name: "Pause" }).click();
    await reaches("paused");
  },
  done: async ({ page, send, reaches }) => {
    await send(markdown);
    await page.locator(".reply td").first().waitFor();
    await page.locator("#stop").click();
    await reaches("idle");
  },
  "the waterfall": async ({ page, send, reaches }) => {
    await send("say: Some words.");
    await reaches("speaking");
    await reaches("idle");
    await page.getByText(/^first sound/).click();
    await page.getByText("Raw events").click();
  },
  stopped: async ({ page, send, reaches }) => {
    await send("endless");
    await reaches("speaking");
    await page.keyboard.press("Escape");
    await reaches("idle");
  },
  interrupted: async (visit) => {
    await visit.send("endless");
    await visit.reaches("speaking");
    await interrupt(visit);
    await visit.reaches("interrupted");
  },
  failed: async ({ send, reaches }) => {
    await send("refuse");
    await reaches("error");
  },
  "scrolled away": async ({ page, send, reaches, exceeds }) => {
    await send("endless");
    await reaches("speaking");
    await exceeds("words-heard", 24);
    await page.mouse.move(200, 200);
    await page.mouse.wheel(0, 2000);
    await page.getByRole("button", { name: "Jump to now" }).waitFor();
  },
  "the menu": async ({ page }) => {
    await page.getByRole("button", { name: "Menu" }).click();
  },
  "who can answer": async ({ page }) => {
    await page.locator("#who", { hasText: "Tone" }).click();
  },
  "the list of keys": async ({ page }) => {
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
  },
  "too long": async ({ page }) => {
    await page.locator("#prompt").fill("x".repeat(70_000));
  },
  "a picture": async ({ page }) => {
    const buffer = await page.screenshot();
    await page.locator("#file").setInputFiles({ name: "a.png", mimeType: "image/png", buffer });
    await page.getByRole("img", { name: "The picture to send" }).waitFor();
  },
  "a refused picture": async ({ page }) => {
    const file = { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("x") };
    await page.locator("#file").setInputFiles(file);
    await page.getByText("a.txt is not a picture.").waitFor();
  },
  dictating: async ({ page }) => {
    await page.getByRole("button", { name: "Dictate" }).click();
    await page.getByText("Listening.").waitFor();
  },
};

const silentRecogniser = `globalThis.SpeechRecognition = class extends EventTarget {
  start() {}
  stop() {}
};`;

describe("axe finds nothing", () => {
  describe.each(["light", "dark"] as const)("in the %s page", (colorScheme) => {
    it.each(Object.keys(states))("that is: %s", (name) =>
      visit(
        async (opened) => {
          await states[name]?.(opened);
          expect(await findViolations(opened.page)).toEqual([]);
        },
        { colorScheme, init: silentRecogniser, viewport: { width: 500, height: 700 } },
      ),
    );
  });

  it("in the page that is buffering, with words alone, and restored", async () => {
    await using proxy = await startShapedProxy(gateway().url);
    await visit(async ({ page, send, reaches }) => {
      await page.goto(proxy.url);
      await send(`say: ${"Some words to be said. ".repeat(20)}`);
      proxy.setRate(150);
      await reaches("buffering");
      expect(await findViolations(page)).toEqual([]);
      proxy.setRate(Number.POSITIVE_INFINITY);
      await page.reload();
      await page.locator(".reply").waitFor();
      expect(await findViolations(page)).toEqual([]);
    });
    await visit(
      async ({ page, send, reaches }) => {
        await send("endless");
        await reaches("text");
        expect(await findViolations(page)).toEqual([]);
      },
      { init: "delete globalThis.AudioWorklet;" },
    );
  });
});
