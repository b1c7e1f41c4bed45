import { describe, expect, it } from "vitest";
import { openBrowser } from "./browser.ts";
import { startGateway } from "./gateway.ts";
import { createSuite } from "./suite.ts";
import { openVisit } from "./visit.ts";

const { visit } = createSuite();
const threeSentences = "say: The first sentence. Then comes another one. And this is the last.";

describe("the page tells what went wrong", () => {
  it("where nothing answers", () =>
    visit(async ({ page, send, reaches }) => {
      await send("refuse");
      await reaches("error");
      await page.getByRole("alert").getByText("No reply can be had right now.").waitFor();
      await send("say: All is well again.");
      await reaches("idle");
      expect(await page.getByRole("alert").count()).toBe(0);
    }));

  it("where the reply broke off and no tier could go on", () =>
    visit(async ({ page, send, reaches }) => {
      await send("break");
      await page.getByText("The reply broke off here.").waitFor();
      await reaches("idle");
      expect(await page.locator(".reply").textContent()).toContain("This much was said.");
    }));

  it("in the gateway's own words where a field is wrong", () =>
    visit(
      async ({ page, send, reaches }) => {
        await send("say: This has no session.");
        await reaches("error");
        const alert = page.getByRole("alert");
        await alert.getByText("The gateway did not accept the request.").waitFor();
        await alert.getByText("The gateway says: session_id must").waitFor();
      },
      {
        init: `sessionStorage.setItem("parley.conversation",
          JSON.stringify({ sessionId: "no id!", draft: "", turns: [] }));`,
      },
    ));

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
    // It asks for the rest of it for a while: another gateway may have taken its place.
    await page.getByText("The reply broke off.").waitFor();
    await send("Hello?");
    await page.getByText("The gateway cannot be reached.").waitFor();
    await reaches("error");
    expect(faults.length).toBeGreaterThan(1);
    for (const fault of faults) expect(fault).toContain("ERR_CONNECTION_REFUSED");
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
