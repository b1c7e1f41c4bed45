import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createSuite } from "./suite.ts";

const { gateway, visit } = createSuite();
const threeSentences = "say: The first sentence. Then comes another one. And this is the last.";
const soon = { timeout: 5000, interval: 20 };

/** Notes every number of lit words, from now on. */
const watchWords = `(() => {
  const turn = document.querySelector("#turn");
  globalThis.lit = [];
  new MutationObserver(() => globalThis.lit.push(Number(turn.dataset.wordsHeard)))
    .observe(turn, { attributeFilter: ["data-words-heard"] });
})()`;

describe("the page speaks", () => {
  it.each(["gRPC-Web", "Connect"])("plays a whole reply without a gap over %s", (protocol) =>
    visit(async ({ page, send, reaches, number }) => {
      await page.getByRole("button", { name: "Menu" }).click();
      await page.getByText(protocol, { exact: true }).click();
      await page.keyboard.press("Escape");
      const request = page.waitForRequest(/StreamAudio/);
      await send(threeSentences);
      const contentType = (await (await request).allHeaders())["content-type"];
      expect(contentType).toBe(
        protocol === "Connect" ? "application/connect+proto" : "application/grpc-web+proto",
      );
      await reaches("speaking");
      await reaches("idle");
      expect(await number("received-samples")).toBeGreaterThan(48_000);
      expect(await number("played-samples")).toBe(await number("received-samples"));
      expect(await number("underruns")).toBe(0);
      expect(await page.locator(".reply").last().textContent()).toContain(threeSentences.slice(5));
    }),
  );

  it("lights the words one after another, and all of them in the end", () =>
    visit(async ({ page, send, reaches, number }) => {
      await page.evaluate(watchWords);
      await send(threeSentences);
      await reaches("speaking");
      await reaches("idle");
      const lit = (await page.evaluate("globalThis.lit")) as number[];
      const words = threeSentences.split(" ").length - 1;
      expect(lit).toEqual(lit.toSorted((a, b) => a - b));
      expect(new Set(lit).size).toBeGreaterThan(words / 2);
      expect(lit.at(-1)).toBe(words);
      expect(await number("words")).toBe(words);
    }));

  it("greets", () =>
    visit(async ({ page, reaches, number }) => {
      await page.getByRole("button", { name: "Say hello" }).click();
      await reaches("speaking");
      await reaches("idle");
      expect(await number("played-samples")).toBe(await number("received-samples"));
      expect(await page.locator(".reply").textContent()).toContain("I am Parley");
    }));

  it("sends a picture with the prompt", () =>
    visit(async ({ page, send, reaches }) => {
      const picture = await page.screenshot();
      const file = { name: "screen.png", mimeType: "image/png", buffer: picture };
      await page.locator("#file").setInputFiles(file);
      await page.getByRole("img", { name: "The picture to send" }).waitFor();
      await send("say: I see.");
      await reaches("speaking");
      expect(gateway().prompts.at(-1)?.screenshot).toMatchObject({ width: 1280, height: 720 });
      await page.getByRole("img", { name: "Attached picture" }).waitFor();
    }));
});

describe("the page falls silent", () => {
  it("within 100 ms of Esc, and the gateway's turn is cancelled", () =>
    visit(async ({ page, send, exceeds, number, reaches }) => {
      const before = gateway().ended("interrupted");
      await send("endless");
      await exceeds("played-samples", 10_000);
      await page.keyboard.press("Escape");
      await reaches("idle");
      await exceeds("silent-at", 0);
      expect((await number("silent-at")) - (await number("stopped-at"))).toBeLessThan(100);
      await expect.poll(() => gateway().activeTurns(), soon).toBe(0);
      expect(gateway().ended("interrupted")).toBe(before + 1);
      await send("say: And on we go.");
      await exceeds("ttfa", 0);
      expect(await number("ttfa")).toBeLessThan(1500);
      await reaches("idle");
      expect(await number("underruns")).toBe(0);
    }));

  it("when the next prompt is sent while it speaks, and answers that one at once", () =>
    visit(async ({ page, send, exceeds, number, reaches }) => {
      await send("endless");
      await exceeds("played-samples", 10_000);
      await send("say: You cut me off.");
      await exceeds("silent-at", 0);
      expect((await number("silent-at")) - (await number("stopped-at"))).toBeLessThan(100);
      await exceeds("ttfa", 0);
      expect(await number("ttfa")).toBeLessThan(1500);
      await reaches("idle");
      expect(await number("played-samples")).toBe(await number("received-samples"));
      expect(await page.locator(".reply").allTextContents()).toHaveLength(2);
      await page.getByText("Stopped", { exact: true }).waitFor();
      expect(gateway().activeTurns()).toBe(0);
    }));

  it("when the device is interrupted from elsewhere, and says so", () =>
    visit(async ({ page, send, exceeds, number, reaches }) => {
      await send("endless");
      await exceeds("played-samples", 10_000);
      const hardwareId = String(await page.evaluate(`localStorage.getItem("parley.hardware-id")`));
      const transport = createConnectTransport({ baseUrl: gateway().url, httpVersion: "1.1" });
      await createClient(StreamingService, transport).interruptSession({ hardwareId });
      await reaches("interrupted");
      await page.locator("#status", { hasText: "Interrupted" }).waitFor();
      expect(await page.getByRole("alert").count()).toBe(0);
      expect(await number("played-samples")).toBeLessThan(await number("received-samples"));
    }));
});
