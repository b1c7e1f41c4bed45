import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { gateway, visit } = createSuite();
const device = "browser-speak";

/** Plays an address in `<audio>` to its end. */
const play = (path: string) => `new Promise((resolve, reject) => {
  const audio = new Audio(${JSON.stringify(path)});
  audio.onended = () => resolve(audio.currentTime);
  audio.onerror = () => reject(new Error(audio.error.message));
  audio.play().catch(reject);
})`;

/** Listens with EventSource until a turn ends, as a page would, but for the close. */
const listen = (path: string) => `new Promise((resolve) => {
  const names = [];
  const source = new EventSource(${JSON.stringify(path)});
  for (const name of ["text", "audio", "end", "failure"])
    source.addEventListener(name, () => names.push(name));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) resolve(names);
  };
})`;

const pathOf = (prompt: string, format: string) =>
  `/v1/speak?${new URLSearchParams({ prompt, hardware_id: device, format })}`;

describe("GET /v1/speak in Chromium", () => {
  it(
    "plays in <audio>, a short reply and a long one",
    () =>
      visit(async ({ page }) => {
        await page.locator("#prompt").click();
        const short = await page.evaluate(play(pathOf("say: One.", "wav")));
        expect(short).toBeGreaterThan(0.1);
        const ranges: (string | undefined)[] = [];
        page.on("request", async (request) => ranges.push((await request.allHeaders())["range"]));
        const sentence = "This is a rather long sentence that goes on for a while. ";
        const long = await page.evaluate(play(pathOf(`say: ${sentence.repeat(3)}`, "wav")));
        expect(long).toBeGreaterThan(5.5);
        expect(ranges).toEqual(["bytes=0-"]);
      }),
    60_000,
  );

  it("plays a ticket of the page in <audio>", () =>
    visit(async ({ page }) => {
      await page.locator("#prompt").click();
      const issue = `fetch("/v1/speak/tickets", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: "say: One.", hardware_id: "${device}" }),
      }).then((response) => response.json())`;
      const { url } = (await page.evaluate(issue)) as { url: string };
      expect(await page.evaluate(play(url))).toBeGreaterThan(0.1);
    }));

  it(
    "reaches EventSource, which does not ask a second time",
    () =>
      visit(async ({ page }) => {
        const before = gateway().ended("done");
        const names = (await page.evaluate(listen(pathOf("say: One.", "sse")))) as string[];
        expect(names[0]).toBe("text");
        expect(names.filter((name) => name === "end")).toHaveLength(1);
        expect(names.at(-1)).toBe("end");
        expect(gateway().ended("done")).toBe(before + 1);
      }),
    30_000,
  );

  it("is refused to <audio> and <img> of a site that is not permitted, as of no other", () =>
    visit(async ({ page: own }) => {
      const elsewhere = createServer((_, response) => {
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>");
      });
      elsewhere.listen(0, "127.0.0.1");
      await once(elsewhere, "listening");
      const { port } = elsewhere.address() as AddressInfo;
      // Not `own`, whose console must stay clean.
      const page = await own.context().newPage();
      const url = `${gateway().url.replace(/\/$/, "")}${pathOf("say: One.", "wav")}`;
      const load = (tag: string) => `new Promise((resolve) => {
        const element = document.createElement("${tag}");
        element.crossOrigin = "anonymous";
        element.onerror = () => resolve("refused");
        element.onload = element.oncanplay = () => resolve("played");
        element.src = ${JSON.stringify(url)};
        document.body.append(element);
      })`;
      try {
        await page.goto(`http://localhost:${port}/`);
        expect(await page.evaluate(load("audio"))).toBe("played");
        const before = gateway().prompts.length;
        await page.goto(`http://elsewhere.localhost:${port}/`);
        expect(await page.evaluate(load("audio"))).toBe("refused");
        expect(await page.evaluate(load("img"))).toBe("refused");
        const unasked = (tag: string) => load(tag).replace(/element.crossOrigin.*/, "");
        expect(await page.evaluate(unasked("audio"))).toBe("refused");
        expect(await page.evaluate(unasked("img"))).toBe("refused");
        expect(gateway().prompts.length).toBe(before);
      } finally {
        elsewhere.closeAllConnections();
        elsewhere.close();
      }
    }));
});
