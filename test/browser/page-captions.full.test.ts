import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();
const still = { reducedMotion: "reduce" } as const;
const sentences = (count: number) =>
  `say: ${Array.from({ length: count }, (_, at) => `Here is sentence number ${at + 1}, with words.`).join(" ")}`;

/** Where the lit word stands between header and prompt box: 0 at the top, 1 at the bottom. */
const place = `(() => {
  const [range] = CSS.highlights.get("sounding") ?? [];
  const box = range?.getClientRects()[0];
  if (!box) return undefined;
  const top = document.querySelector("header").getBoundingClientRect().bottom;
  const bottom = document.querySelector("#composer").getBoundingClientRect().top;
  return { at: ((box.top + box.bottom) / 2 - top) / (bottom - top), word: range.toString() };
})()`;

type Place = { readonly at: number; readonly word: string } | undefined;

/** Looks where the lit word is until the voice has ended. */
async function watch(page: Page): Promise<Place[]> {
  const places: Place[] = [];
  while ((await page.locator("#turn").getAttribute("data-state")) === "speaking") {
    places.push((await page.evaluate(place)) as Place);
    await page.waitForTimeout(50);
  }
  return places;
}

describe("captions", () => {
  it("keep the lit word in the middle third, from the first to the last", () =>
    visit(
      async ({ page, send, reaches }) => {
        await send(sentences(8));
        await reaches("speaking");
        const places = (await watch(page)).filter((each) => each !== undefined);
        expect(new Set(places.map(({ word }) => word)).size).toBeGreaterThan(10);
        const away = places.filter(({ at }) => at < 0.32 || at > 0.68);
        expect(away).toEqual([]);
      },
      { ...still, viewport: { width: 420, height: 620 } },
    ));

  it("glide there where motion is welcome, and never leave the screen", () =>
    visit(
      async ({ page, send, reaches }) => {
        await send(sentences(6));
        await reaches("speaking");
        const places = (await watch(page)).filter((each) => each !== undefined);
        // On a busy machine a glide begins late: the word may stand a line below for a moment.
        expect(places.filter(({ at }) => at < -0.1 || at > 1.1)).toEqual([]);
        const away = places.filter(({ at }) => at < 0 || at > 1);
        expect(away.length).toBeLessThan(places.length / 20);
      },
      { viewport: { width: 420, height: 620 } },
    ));

  it("stand still once the user scrolls away, and come back by the button", () =>
    visit(
      async ({ page, send, reaches, exceeds }) => {
        await send(sentences(3));
        await reaches("idle");
        await send(sentences(12));
        await exceeds("words-heard", 3);
        await page.mouse.move(200, 200);
        await page.mouse.wheel(0, -500);
        await page.getByRole("button", { name: "Jump to now" }).waitFor();
        const before = await page.evaluate("scrollY");
        await page.waitForTimeout(1000);
        expect(await page.evaluate("scrollY")).toBe(before);
        await page.getByRole("button", { name: "Jump to now" }).click();
        const { at } = (await page.evaluate(place)) as NonNullable<Place>;
        expect(at).toBeGreaterThan(0.32);
        expect(at).toBeLessThan(0.68);
        expect(await page.locator("#jump").isVisible()).toBe(false);
        await page.keyboard.press("Escape");
      },
      { ...still, viewport: { width: 420, height: 620 } },
    ));

  it("play from a word that is clicked, while the voice sounds and after it", () =>
    visit(async ({ page, send, reaches, exceeds, number }) => {
      const word = async (text: string) => {
        const box = (await page.evaluate(`(() => {
          const walker = document.createTreeWalker(document.querySelector(".reply"), NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const at = walker.currentNode.data.indexOf(${JSON.stringify(text)});
            if (at < 0) continue;
            const range = new Range();
            range.setStart(walker.currentNode, at);
            range.setEnd(walker.currentNode, at + 4);
            const { x, y, width, height } = range.getBoundingClientRect();
            return { x: x + width / 2, y: y + height / 2 };
          }
        })()`)) as { x: number; y: number };
        await page.mouse.click(box.x, box.y);
      };
      await send(
        "say: One two three four five six seven eight. Then there are nineteen, and twenty.",
      );
      await exceeds("played-samples", 20_000);
      await exceeds("received-samples", 150_000);
      await word("nineteen");
      await expect
        .poll(() => page.evaluate(place), { timeout: 2000 })
        .toMatchObject({
          word: expect.stringMatching(/nineteen|and|twenty/),
        });
      expect(await number("played-samples")).toBeGreaterThan(100_000);
      await reaches("idle");
      await word("three");
      await reaches("speaking");
      await expect
        .poll(() => page.evaluate(place), { timeout: 2000 })
        .toMatchObject({
          word: expect.stringMatching(/three|four|five/),
        });
      await reaches("idle");
    }));
});

describe("Markdown in a reply", () => {
  const reply = `reply:Here is **a list** with \`code\`:

1. The first, with [a link](https://example.org/a?b=c)
2. The second

> Somebody said
> this once.

| Name | Place |
| --- | --- |
| Ada | London |

<img src=x onerror="document.title = 'broken'"> and <b>no tags</b>, [none](javascript:alert(1)) either.`;

  it("becomes elements, and never HTML", () =>
    visit(async ({ page, send, reaches }) => {
      await send(reply);
      await reaches("speaking");
      await page.locator(".reply td", { hasText: "London" }).waitFor();
      const shown = page.locator(".reply");
      expect(await shown.locator("strong").textContent()).toBe("a list");
      expect(await shown.locator("code").textContent()).toBe("code");
      expect(await shown.locator("ol li").count()).toBe(2);
      expect(await shown.locator("blockquote").textContent()).toContain("this once.");
      expect(await shown.locator("td").allTextContents()).toEqual(["Ada", "London"]);
      const link = shown.locator("a");
      expect(await link.count()).toBe(1);
      expect(await link.getAttribute("href")).toBe("https://example.org/a?b=c");
      expect(await link.getAttribute("rel")).toBe("noopener noreferrer");
      // The last paragraph comes with its sentence.
      await expect.poll(() => shown.textContent(), { timeout: 20_000 }).toContain("<b>no tags</b>");
      expect(await shown.locator("img, b, script").count()).toBe(0);
      expect(await page.title()).toBe("Parley");
      await page.keyboard.press("Escape");
    }));

  it("does not keep the captions from their words", () =>
    visit(async ({ page, send, reaches }) => {
      await page.evaluate(`globalThis.lit = []; setInterval(() => {
        const [range] = CSS.highlights.get("sounding") ?? [];
        const word = range?.toString().trim();
        if (word && globalThis.lit.at(-1) !== word) globalThis.lit.push(word);
      }, 20)`);
      await send("reply:Here **are bold** words. And *then* some.\n\n- One item\n- Two items");
      await reaches("speaking");
      await reaches("idle");
      const lit = (await page.evaluate("globalThis.lit")) as string[];
      const words = lit.map((word) => word.replaceAll(/[^\p{L}]/gu, ""));
      const all = [
        "Here",
        "are",
        "bold",
        "words",
        "And",
        "then",
        "some",
        "One",
        "item",
        "Two",
        "items",
      ];
      expect(words.filter((word) => word && !all.includes(word))).toEqual([]);
      expect(all.filter((word) => !words.includes(word)).length).toBeLessThan(5);
      expect(words.at(-1)).toBe("items");
    }));
});
