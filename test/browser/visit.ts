import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import type { State } from "../../web/src/surface.ts";

/** A visit to the page, and what its attributes tell (web/src/surface.ts). */
export type Visit = {
  readonly page: Page;
  /** Console errors, uncaught errors and breaches of the content security policy. */
  readonly faults: readonly string[];
  /** Writes a prompt and sends it with Enter. */
  send(prompt: string): Promise<void>;
  /** Waits until the page is in this state. */
  reaches(state: State): Promise<void>;
  /** An attribute as a number; NaN where it is empty. */
  number(name: string): Promise<number>;
  /** Waits until an attribute holds a number that is greater than `above`. */
  exceeds(name: string, above: number): Promise<void>;
};

const tellBreaches = `document.addEventListener("securitypolicyviolation", (event) =>
  console.error("CSP " + event.violatedDirective + " " + event.blockedURI));`;

/** Opens the page in a context of its own. `init` runs in it before anything else. */
export async function openVisit(
  browser: Browser,
  url: string,
  { init = "", ...context }: BrowserContextOptions & { init?: string } = {},
): Promise<Visit> {
  const page = await (await browser.newContext(context)).newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // A gateway with tokens tells its state to those who may know it; that an upload is refused, the
    // page says.
    const isRefusal = /\/(status|api\/v1\/audio\/upload)$/.test(message.location().url);
    if (message.type() === "error" && !isRefusal) faults.push(message.text());
  });
  await page.addInitScript(tellBreaches + init);
  await page.goto(url);
  const turn = page.locator("#turn");
  const number = async (name: string) => {
    const value = await turn.getAttribute(`data-${name}`);
    return value ? Number(value) : Number.NaN;
  };
  return {
    page,
    faults,
    number,
    async send(prompt) {
      await page.locator("#prompt").fill(prompt);
      await page.keyboard.press("Enter");
    },
    async reaches(state) {
      await page.locator(`#turn[data-state="${state}"]`).waitFor({ state: "attached" });
    },
    async exceeds(name, above) {
      await expect
        .poll(() => number(name), { timeout: 20_000, interval: 20 })
        .toBeGreaterThan(above);
    },
  };
}
