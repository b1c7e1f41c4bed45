import { describe, expect, it } from "vitest";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();
const threeSentences = "say: The first sentence. Then comes another one. And this is the last.";

describe("the page is for everybody", () => {
  it("names every control, and sends nothing that is blank", () =>
    visit(async ({ page, send, number }) => {
      await page.locator("#prompt").fill("x");
      const tree = await page.locator("body").ariaSnapshot();
      const controls = tree.match(/- (button|textbox|radio|slider|checkbox|link)\b.*/g) ?? [];
      expect(controls.length).toBeGreaterThan(8);
      expect(controls.filter((control) => !/^- \w+ "/.test(control))).toEqual([]);
      await send(" \n ");
      expect(await number("turns")).toBe(0);
    }));

  it("fits on a screen 360 pixels wide", () =>
    visit(
      async ({ page, send, reaches }) => {
        const width = "document.documentElement.scrollWidth";
        expect(await page.evaluate(width)).toBe(360);
        await send(`say: A ${"very".repeat(40)} long word.`);
        await reaches("speaking");
        expect(await page.evaluate(width)).toBe(360);
      },
      { viewport: { width: 360, height: 740 } },
    ));

  it("works from the keyboard alone", () =>
    visit(async ({ page, exceeds, reaches }) => {
      await page.locator("#prompt").focus();
      await page.keyboard.type("two");
      await page.keyboard.press("Shift+Enter");
      await page.keyboard.type("lines");
      expect(await page.locator("#prompt").inputValue()).toBe("two\nlines");
      await page.locator("#prompt").fill("endless");
      await page.keyboard.press("Enter");
      await exceeds("played-samples", 0);
      for (let count = 0; count < 3; count++) {
        await page.keyboard.press("Tab");
        if (await page.locator("#stop:focus").count()) break;
      }
      await page.keyboard.press("Enter");
      await reaches("idle");
      expect(await page.locator("#prompt:focus").count()).toBe(1);
    }));

  it("plays without moving pictures where motion is not wanted", () =>
    visit(
      async ({ send, reaches, number }) => {
        await send(threeSentences);
        await reaches("speaking");
        await reaches("idle");
        expect(await number("played-samples")).toBe(await number("received-samples"));
      },
      { reducedMotion: "reduce" },
    ));
});

const small = { width: 320, height: 256 };

/** Buttons and fields that are shown, and do not lie wholly on the screen or are covered by another. */
const lost = `[...document.querySelectorAll("#composer button, #composer textarea, header button")]
  .filter((element) => element.checkVisibility())
  .filter((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    if (x < 0 || x + width > innerWidth + 0.5) return true;
    // What scrolls with the page may lie beyond its lower or upper end.
    if (getComputedStyle(element.closest("header, #composer")).position !== "sticky") return false;
    if (y < 0 || y + height > innerHeight + 0.5) return true;
    const hit = document.elementFromPoint(x + width / 2, y + height / 2);
    return !element.contains(hit);
  })
  .map(({ id }) => id)`;

describe("nothing is lost", () => {
  it.each([
    ["320 × 256", small, "100%"],
    ["200 % text on 640 × 512", { width: 640, height: 512 }, "200%"],
    ["200 % text on 360 × 740", { width: 360, height: 740 }, "200%"],
    ["200 % text on 1280 × 720", { width: 1280, height: 720 }, "200%"],
  ])("at %s, idle, speaking and failed", (_, viewport, size) =>
    visit(
      async ({ page, send, reaches }) => {
        await page.evaluate(`document.documentElement.style.fontSize = "${size}"`);
        const look = async () => {
          await page.waitForTimeout(200);
          expect(await page.evaluate(lost)).toEqual([]);
          expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(viewport.width);
          const composer = await page.locator("#composer").boundingBox();
          expect(composer?.height).toBeLessThan(viewport.height * 0.62);
        };
        await look();
        await page.locator("#prompt").fill("x");
        await look();
        await send("endless");
        await reaches("speaking");
        await look();
        await page.keyboard.press("Escape");
        await send("refuse");
        await reaches("error");
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(viewport.width);
      },
      { viewport },
    ),
  );

  it("of the sound in 320 × 256: the lit word is seen", () =>
    visit(
      async ({ page, send, exceeds }) => {
        await send("endless");
        await exceeds("words-heard", 12);
        const seen = await page.evaluate(`(() => {
          const [range] = CSS.highlights.get("sounding");
          const box = range.getClientRects()[0];
          return box.top >= 0 && box.bottom <= document.querySelector("#composer").getBoundingClientRect().top;
        })()`);
        expect(seen).toBe(true);
      },
      { viewport: small, reducedMotion: "reduce" },
    ));
});

describe("forced colours", () => {
  it("show the focus, the state and what is pressed by lines and the system's colours", () =>
    visit(
      async ({ page, send, reaches }) => {
        const style = (selector: string, name: string, pseudo = "") =>
          page.evaluate(
            `getComputedStyle(document.querySelector("${selector}"), "${pseudo}").${name}`,
          );
        await page.locator("#mute").focus();
        await page.keyboard.press("Shift");
        expect(await style("#mute", "outlineStyle")).toBe("solid");
        expect(await style("#mute", "outlineWidth")).toBe("3px");
        const before = await style("#mute", "borderWidth");
        await page.keyboard.press("Space");
        expect(await style("#mute", "borderWidth")).not.toBe(before);
        await page.keyboard.press("Space");
        const idle = await style("#status", "backgroundColor", "::before");
        await send("endless");
        await reaches("speaking");
        expect(await style("#status", "backgroundColor", "::before")).not.toBe(idle);
        expect(await style(".said", "borderStyle")).toBe("solid");
      },
      { forcedColors: "active" },
    ));
});

describe("a screen reader", () => {
  it("finds the page's parts as landmarks", () =>
    visit(async ({ page }) => {
      const tree = await page.locator("body").ariaSnapshot();
      expect(tree).toMatch(/^- banner:/m);
      expect(tree).toMatch(/^- main:/m);
      expect(tree).toMatch(/^- form "Your prompt":/m);
    }));

  it("hears nothing from the live region while the voice sounds, and the state when it does not", () =>
    visit(async ({ page, send, reaches }) => {
      await page.evaluate(`globalThis.spoken = [];
        const turn = document.querySelector("#turn");
        for (const region of document.querySelectorAll('[role="status"], [role="alert"], [aria-live]')) {
          new MutationObserver(() => {
            if (region.textContent) spoken.push(turn.dataset.state + ": " + region.textContent);
          }).observe(region, { childList: true, subtree: true, characterData: true });
        }`);
      await send(threeSentences);
      await reaches("speaking");
      await reaches("idle");
      const spoken = (await page.evaluate("globalThis.spoken")) as string[];
      expect(spoken.filter((each) => each.startsWith("speaking"))).toEqual([]);
      expect(spoken).toContain("connecting: Asking…");
      expect(spoken.at(-1)).toBe("idle: Ready");
    }));

  it("gets the words of a reply that is muted", () =>
    visit(async ({ page, send, reaches }) => {
      await page.getByRole("button", { name: "Mute" }).click();
      await send(threeSentences);
      await reaches("muted");
      await page.locator("#announcer", { hasText: "The first sentence." }).waitFor();
      await reaches("idle");
    }));
});

describe("the keyboard", () => {
  it("reaches everything, in the order of the page", () =>
    visit(async ({ page, send, reaches }) => {
      await send("say: A few words.");
      await reaches("speaking");
      await reaches("idle");
      await page.locator("#who").focus();
      const reached: string[] = [];
      for (let count = 0; count < 14; count++) {
        reached.push(
          String(
            await page.evaluate(
              "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.tagName",
            ),
          ),
        );
        await page.keyboard.press("Tab");
      }
      const wanted = ["who", "mute", "open-menu", "Play", "Position", "Copy the reply"];
      wanted.push("Download as WAV", "SUMMARY", "prompt", "attach", "capture");
      const told = reached.filter((each) => wanted.includes(each));
      expect(told.slice(0, wanted.length)).toEqual(wanted);
    }));

  it("opens the list of keys by ?, closes it by Esc, and writes ? into a text", () =>
    visit(async ({ page }) => {
      await page.locator("#prompt").focus();
      await page.keyboard.press("?");
      const dialog = page.getByRole("dialog", { name: "Keys" });
      await dialog.waitFor();
      expect(await dialog.locator("dt").count()).toBe(7);
      await page.keyboard.press("Escape");
      expect(await dialog.isVisible()).toBe(false);
      expect(await page.locator("#prompt:focus").count()).toBe(1);
      await page.keyboard.type("why?");
      expect(await page.locator("#prompt").inputValue()).toBe("why?");
      expect(await dialog.isVisible()).toBe(false);
    }));

  it("does not stop the voice with the Esc that closes a menu", () =>
    visit(async ({ page, send, reaches }) => {
      await send("endless");
      await reaches("speaking");
      await page.locator("#open-menu").focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog", { name: "Menu" }).waitFor();
      await page.keyboard.press("Escape");
      expect(await page.getByRole("dialog", { name: "Menu" }).isVisible()).toBe(false);
      expect(await page.locator("#turn").getAttribute("data-state")).toBe("speaking");
    }));
});
