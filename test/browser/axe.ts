import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds of the page as it stands, by every rule of WCAG 2.2 A and AA and its best practices. */
export async function findViolations(page: Page): Promise<readonly string[]> {
  // By the debugger, which the page's security policy does not concern.
  await page.evaluate(source);
  return (await page.evaluate(`axe.run({
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }).then(({ violations }) => violations.map(({ id, nodes }) =>
    id + ": " + nodes.map(({ target }) => target.join(" ")).join(", ")))`)) as string[];
}
