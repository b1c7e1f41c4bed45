import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();

/** Turns after the page is full, and the most that it may grow: the browser's own share comes first. */
const turns = 200;
const maxKb = 1024;

describe("the page's heap", () => {
  it(`is flat over ${turns} turns`, { timeout: 600_000 }, () =>
    visit(async ({ page, send }) => {
      const devtools = await page.context().newCDPSession(page);
      const usedKb = async () => {
        await devtools.send("HeapProfiler.collectGarbage");
        await devtools.send("HeapProfiler.collectGarbage");
        const {
          usedSize,
          embedderHeapUsedSize = 0,
          backingStorageSize = 0,
        } = (await devtools.send("Runtime.getHeapUsage")) as {
          usedSize: number;
          embedderHeapUsedSize?: number;
          backingStorageSize?: number;
        };
        return (usedSize + embedderHeapUsedSize + backingStorageSize) / 1024;
      };
      let sent = 0;
      const run = async (count: number) => {
        for (let turn = 0; turn < count; turn++) {
          await send("say: A.");
          const ended = `#turn[data-turns="${++sent}"][data-state="idle"]`;
          await page.locator(ended).waitFor({ state: "attached" });
        }
      };
      // The page shows 100 turns at most: from then on each new one takes the place of an old one.
      await run(110);
      const before = await usedKb();
      await run(turns);
      const after = await usedKb();
      console.log(
        `heap: ${before.toFixed(0)} kB after 110 turns, ${after.toFixed(0)} after ${turns} more`,
      );
      expect(after - before).toBeLessThan(maxKb);
      expect(await page.locator("#conversation > li").count()).toBe(100);
    }),
  );
});
