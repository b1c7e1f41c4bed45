import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasFirefox, openFirefox } from "./firefox.ts";
import { startGateway, type TestGateway } from "./gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  if (!hasFirefox()) throw new Error("install firefox-esr and pulseaudio");
  gateway = await startGateway();
});
afterAll(() => gateway?.stop());

describe("the page in Firefox", () => {
  it("sends a prompt, is heard to its end, and lights its words", async () => {
    await using page = await openFirefox(gateway.url);
    await page.evaluate(`{
      globalThis.seen = [];
      const turn = document.querySelector("#turn");
      new MutationObserver(() => {
        const { state, wordsHeard, playedSamples } = turn.dataset;
        globalThis.seen.push({ state, lit: Number(wordsHeard), played: Number(playedSamples) });
      }).observe(turn, { attributes: true });
      document.querySelector("#prompt").focus();
    }`);
    await page.type("say: One two three four five.\uE007");
    const read = async () =>
      JSON.parse(`${await page.evaluate("JSON.stringify(globalThis.seen)")}`);
    const wait = { timeout: 40_000, interval: 200 };
    await expect.poll(async () => (await read()).at(-1)?.state, wait).toBe("idle");
    const seen: { state: string; lit: number; played: number }[] = await read();
    const states = seen.map(({ state }) => state).filter((state, at, all) => state !== all[at - 1]);
    expect(states.at(-2)).toBe("speaking");
    expect(states).not.toContain("text");
    expect(Math.max(...seen.map(({ played }) => played))).toBe(72_000);
    expect(new Set(seen.map(({ lit }) => lit)).size).toBeGreaterThan(3);
    expect(seen.at(-1)?.lit).toBe(5);
    expect(page.errors).toEqual([]);
  });
});
