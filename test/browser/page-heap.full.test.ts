import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();

describe("the page's heap", () => {
  it("is flat over 200 turns", { timeout: 600_000 }, () =>
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
      const run = async (turns: number) => {
        for (let turn = 0; turn < turns; turn++) {
          await send("say: Words.");
          const ended = `#turn[data-turns="${++sent}"][data-state="idle"]`;
          await page.locator(ended).waitFor({ state: "attached" });
        }
      };
      // The page shows 100 turns at most: from then on each new one takes the place of an old one.
      await run(110);
      const before = await usedKb();
      await run(200);
      const after = await usedKb();
      console.log(`heap: ${before.toFixed(0)} kB after 110 turns, ${after.toFixed(0)} after 310`);
      expect(after - before).toBeLessThan(1024);
      expect(await page.locator("#conversation > li").count()).toBe(100);
    }),
  );
});
