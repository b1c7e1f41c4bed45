import { describe, expect, it } from "vitest";
import { openBrowser } from "./browser.ts";
import { startGateway } from "./gateway.ts";
import { createSuite } from "./suite.ts";
import { openVisit } from "./visit.ts";

const { visit } = createSuite();
const threeSentences = "say: The first sentence. Then comes another one. And this is the last.";

describe("the page tells what went wrong", () => {
  it.each([
    { prompt: "refuse", said: "No reply can be had right now." },
    { prompt: `say: ${"x".repeat(70_000)}`, said: "prompt must" },
  ])("$said", ({ prompt, said }) =>
    visit(async ({ page, send, reaches }) => {
      await send(prompt);
      await reaches("error");
      await page.getByRole("alert").getByText(said).waitFor();
      await send("say: All is well again.");
      await reaches("idle");
      expect(await page.getByRole("alert").count()).toBe(0);
    }),
  );

  it("shows text alone where there are no worklets, and says why", () =>
    visit(
      async ({ page, send, exceeds, reaches, number }) => {
        await send(threeSentences);
        await exceeds("bytes", 100_000);
        await reaches("idle");
        expect(await number("words-heard")).toBe(await number("words"));
        await page.getByText("Sound needs a secure page").waitFor();
      },
      { init: "delete globalThis.AudioWorklet;" },
    ));
});

describe("the page with a gateway or browser of its own", () => {
  it("says that the gateway cannot be reached, or was lost", async () => {
    const gateway = await startGateway();
    const browser = await openBrowser();
    const { page, send, exceeds, reaches, faults } = await openVisit(browser, gateway.url);
    await send("endless");
    await exceeds("played-samples", 0);
    await gateway.stop();
    await page.getByText("The reply broke off.").waitFor();
    await send("Hello?");
    await page.getByText("The gateway cannot be reached.").waitFor();
    await reaches("error");
    expect(faults).toEqual([expect.stringContaining("ERR_CONNECTION_REFUSED")]);
    await browser.close();
  });

  // Whatever Playwright asks of a page counts as a touch, after which sound is allowed: the page
  // sends by itself, and tells by itself what it shows.
  const untouched = `
    setTimeout(() => {
      document.querySelector("#prompt").value = "say: Nobody has touched this page.";
      document.querySelector("#composer").requestSubmit();
    }, 200);
    const tell = setInterval(() => {
      if (!document.querySelector("#status").textContent.includes("holds the sound")) return;
      clearInterval(tell);
      console.error("held " + document.querySelector("#turn").dataset.playedSamples);
    }, 50);`;

  it("asks for a click where the browser holds the sound back", async () => {
    const gateway = await startGateway();
    const browser = await openBrowser();
    const visit = await openVisit(browser, gateway.url, { init: untouched });
    await expect.poll(() => visit.faults, { timeout: 10_000 }).toEqual(["held 0"]);
    await visit.page.getByRole("button", { name: "Turn the sound on" }).click();
    await visit.reaches("idle");
    expect(await visit.number("received-samples")).toBeGreaterThan(0);
    expect(await visit.number("played-samples")).toBe(await visit.number("received-samples"));
    expect(visit.faults).toHaveLength(1);
    await browser.close();
    await gateway.stop();
  });
});
