import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { openBrowser } from "./browser.ts";
import { startGateway, type TestGateway, type TestGatewayOptions } from "./gateway.ts";
import { openVisit, type Visit } from "./visit.ts";

/** What the tests of one file share. */
export type Suite = {
  gateway(): TestGateway;
  /** Runs `act` on a page of its own, and checks afterwards that nothing broke inside it. */
  visit(
    act: (visit: Visit) => Promise<void>,
    options?: BrowserContextOptions & { init?: string },
  ): Promise<void>;
};

/** Has a gateway and a browser run while the tests of this file do. */
export function createSuite(gatewayOptions: TestGatewayOptions = {}): Suite {
  let browser: Browser;
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway(gatewayOptions);
    browser = await openBrowser();
  });

  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
  });

  return {
    gateway: () => gateway,
    async visit(act, options) {
      const opened = await openVisit(browser, gateway.url, options);
      try {
        await act(opened);
        expect(opened.faults).toEqual([]);
      } finally {
        await opened.page.context().close();
      }
    },
  };
}
