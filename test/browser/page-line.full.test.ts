import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createHummingVoice } from "../support/failing-voice.ts";
import { startShapedProxy } from "../support/shaped-proxy.ts";
import { openBrowser } from "./browser.ts";
import { startGateway, type TestGateway } from "./gateway.ts";
import { openVisit } from "./visit.ts";

let browser: Browser;
let gateway: TestGateway;
beforeAll(async () => {
  browser = await openBrowser();
  gateway = await startGateway({
    synthesizers: [
      createHummingVoice("azure", (text) => (text.includes("midway") ? "midway" : undefined)),
      createHummingVoice("edge"),
    ],
  });
});
afterAll(async () => {
  await browser?.close();
  await gateway?.stop();
});

/** Notes every state and status line from now on. */
const watchStates = `(() => {
  globalThis.states = [];
  const turn = document.querySelector("#turn");
  new MutationObserver(() => {
    const told = turn.dataset.state + ": " + document.querySelector("#status").textContent;
    if (globalThis.states.at(-1) !== told) globalThis.states.push(told);
  }).observe(turn, { attributeFilter: ["data-state"] });
})()`;

const states = async (page: Page) => (await page.evaluate("globalThis.states")) as string[];
const words = (count: number) => `say: ${"Some words and an end. ".repeat(count / 5)}`;

describe("a slow line", () => {
  it("of 700 kbit/s makes at most 3 underruns in 10 s, and says Buffering", async () => {
    await using proxy = await startShapedProxy(gateway.url);
    const visit = await openVisit(browser, proxy.url);
    proxy.setRate(700);
    await visit.page.evaluate(watchStates);
    await visit.send(words(60));
    await visit.exceeds("played-samples", 10 * 48_000);
    expect(await visit.number("underruns")).toBeLessThanOrEqual(3);
    proxy.setRate(100);
    await visit.reaches("buffering");
    expect(await visit.page.locator("#status").textContent()).toBe("Buffering…");
    proxy.setRate(Number.POSITIVE_INFINITY);
    await visit.reaches("speaking");
    await visit.reaches("idle");
    expect(await visit.number("played-samples")).toBe(await visit.number("received-samples"));
    expect(visit.faults).toEqual([]);
    await visit.page.context().close();
  });

  it("shows its gaps in the turn's times", async () => {
    await using proxy = await startShapedProxy(gateway.url);
    const { page, send, exceeds, reaches } = await openVisit(browser, proxy.url);
    await send(words(30));
    proxy.setRate(300);
    await exceeds("underruns", 0);
    proxy.setRate(Number.POSITIVE_INFINITY);
    await reaches("idle");
    await page.getByText(/^first sound \d+\.\d\d s$/).click();
    await page
      .getByText(/^Gap of \d+\.\d\d s$/)
      .first()
      .waitFor();
    await page.context().close();
  });
});

describe("a line that is lost in the middle of a reply", () => {
  it("is found again: the rest is heard, each word once", async () => {
    await using proxy = await startShapedProxy(gateway.url);
    const { page, send, exceeds, reaches, number } = await openVisit(browser, proxy.url);
    proxy.setRate(1500);
    const asked = gateway.prompts.length;
    await send(words(60));
    await exceeds("played-samples", 2 * 48_000);
    const before = await number("received-samples");
    proxy.cut();
    proxy.setRate(Number.POSITIVE_INFINITY);
    await exceeds("received-samples", before);
    await reaches("idle");
    expect(await number("words-heard")).toBe(60);
    expect(await page.locator(".reply").last().textContent()).toContain(words(60).slice(5).trim());
    expect(await number("played-samples")).toBe(await number("received-samples"));
    expect(gateway.prompts.length).toBe(asked + 1);
    expect(await page.getByRole("alert").count()).toBe(0);
    await page.context().close();
  });
});

describe("the state tells what is heard", () => {
  it("from asking to the end, and never Speaking before there is sound", async () => {
    const { page, send, reaches } = await openVisit(browser, gateway.url);
    await page.evaluate(watchStates);
    await send("say: Some words to be heard.");
    await reaches("idle");
    const seen = await states(page);
    expect(seen[0]).toBe("connecting: Asking…");
    expect(seen.filter((state) => state.startsWith("speaking"))).toEqual(["speaking: Speaking"]);
    expect(seen.at(-1)).toBe("idle: Ready");
    await page.context().close();
  });

  it("says that it plays muted, and Speaking again with the sound", async () => {
    const { page, send, reaches } = await openVisit(browser, gateway.url);
    await page.getByRole("button", { name: "Mute" }).click();
    await page.evaluate(watchStates);
    await send(words(12));
    await reaches("muted");
    expect(await states(page)).not.toContain("speaking: Speaking");
    await page.getByRole("button", { name: "Mute" }).click();
    await reaches("speaking");
    await page.context().close();
  });

  it("is Interrupted where something else interrupts, and what was to be heard is not", async () => {
    const { page, send, exceeds, number, reaches } = await openVisit(browser, gateway.url);
    await send("endless");
    await exceeds("played-samples", 10_000);
    const hardwareId = String(await page.evaluate(`localStorage.getItem("parley.hardware-id")`));
    const transport = createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" });
    await createClient(StreamingService, transport).interruptSession({ hardwareId });
    await reaches("interrupted");
    expect(await page.locator("#status").textContent()).toBe("Interrupted");
    expect(await page.locator("#trouble").isVisible()).toBe(false);
    const played = await number("played-samples");
    await page.waitForTimeout(500);
    expect(await number("played-samples")).toBe(played);
    expect(played).toBeLessThan(await number("received-samples"));
    await page.context().close();
  });

  it("is Interrupted as well where the whole reply was made long before it is heard", async () => {
    const { page, send, exceeds, number, reaches } = await openVisit(browser, gateway.url);
    await send(words(60));
    await exceeds("played-samples", 48_000);
    const hardwareId = String(await page.evaluate(`localStorage.getItem("parley.hardware-id")`));
    const transport = createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" });
    await createClient(StreamingService, transport).interruptSession({ hardwareId });
    await reaches("interrupted");
    expect(await number("played-samples")).toBeLessThan(4 * 48_000);
    await page.context().close();
  });

  it("holds no more than 3 s ahead, takes no such line for a slow one, and waits out a pause", async () => {
    const { page, send, exceeds, number, reaches } = await openVisit(browser, gateway.url);
    await send(words(25));
    await exceeds("played-samples", 48_000);
    const ahead = (await number("received-samples")) - (await number("played-samples"));
    // The gateway counts from the sending, which the loudspeaker follows.
    expect(ahead).toBeLessThan(4 * 48_000);
    await page.getByRole("button", { name: "Pause" }).click();
    await reaches("paused");
    const played = await number("played-samples");
    // The gateway knows of no pause: it sends on as if the sound were heard.
    await exceeds("received-samples", played + 3.3 * 48_000);
    expect(await number("played-samples")).toBe(played);
    await page.getByRole("button", { name: "Play" }).click();
    await reaches("speaking");
    await reaches("idle");
    expect(await number("played-samples")).toBe(await number("received-samples"));
    expect(await number("underruns")).toBe(0);
    const request = page.waitForRequest(/StreamAudio/);
    await send(words(5));
    // \xb0\x01\x01: field 22, Opus.
    expect((await request).postDataBuffer()?.includes(Buffer.from([0xb0, 1, 1]))).toBe(false);
    await page.context().close();
  });

  it("tells a hand-over in one quiet line", async () => {
    const { page, send, reaches } = await openVisit(browser, gateway.url);
    await send("say: This one goes on midway with more words to be said here.");
    await page.getByText("Azure stopped; Edge goes on.", { exact: true }).waitFor();
    await reaches("idle");
    expect(await page.locator(".note").count()).toBe(1);
    expect(await page.locator("#trouble").isVisible()).toBe(false);
    await page.getByText(/^first sound/).click();
    expect(await page.locator(".waterfall").textContent()).toContain(
      "Azure stopped; Edge goes on.",
    );
    expect(await page.locator("#who").textContent()).toContain("Edge");
    await page.context().close();
  });
});

describe("the first sound that is shown", () => {
  // What is put out is looked at beside the page's own worklet, by the page's clock.
  const tap = `{
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...rest) {
      if (to instanceof AudioDestinationNode && !globalThis.tap) {
        const meter = new AnalyserNode(this.context, { fftSize: 32768 });
        globalThis.tap = meter;
        connect.call(this, meter);
        const block = new Float32Array(32768);
        let silentAt = performance.now();
        setInterval(() => {
          meter.getFloatTimeDomainData(block);
          const now = performance.now();
          const first = block.findIndex((value) => value !== 0);
          // The block ends now; how much of it sounds says when that began: not before the last look.
          const sinceMs = Math.min((32768 - first) / 48, now - silentAt);
          const { baseLatency, outputLatency } = this.context;
          if (first < 0) silentAt = now;
          else globalThis.heardAt ??= now - sinceMs + (baseLatency + outputLatency) * 1000;
        }, 4);
      }
      return connect.call(this, to, ...rest);
    };
    addEventListener("keydown", ({ key, timeStamp }) => {
      if (key === "Enter") globalThis.sentAt = timeStamp;
    }, { capture: true });
  }`;

  it.each([1, 2, 3])("is what was heard, within 50 ms: turn %i", async (turn) => {
    const { page, send, reaches, number } = await openVisit(browser, gateway.url, { init: tap });
    for (let count = 1; count < turn; count++) {
      await send("say: Once before.");
      await reaches("speaking");
      await reaches("idle");
    }
    // Until the block holds nothing of the turn before.
    await page.waitForTimeout(1000);
    await page.evaluate("globalThis.heardAt = undefined");
    await send("say: Now it is measured.");
    await reaches("speaking");
    await reaches("idle");
    const heard = Number(await page.evaluate("globalThis.heardAt - globalThis.sentAt"));
    const shown = await number("first-sound");
    expect(Math.abs(heard - shown)).toBeLessThan(50);
    expect(shown).toBeGreaterThan(await number("ttfa"));
    const text = await page.locator("summary").last().textContent();
    // Both are rounded, and not by the same digits.
    const inText = Number(/^first sound (\d+\.\d\d) s$/.exec(text ?? "")?.[1]);
    expect(Math.abs(inText * 1000 - shown)).toBeLessThanOrEqual(5.1);
    await page.context().close();
  });
});
