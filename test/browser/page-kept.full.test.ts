import { describe, expect, it } from "vitest";
import { openBrowser } from "./browser.ts";
import { startGateway } from "./gateway.ts";
import { createSuite } from "./suite.ts";
import { openVisit } from "./visit.ts";

const { visit, gateway } = createSuite();
const box = "#prompt";

describe("what was typed", () => {
  it("is sent again by one button, after the gateway has come back, with its picture", async () => {
    const browser = await openBrowser();
    const first = await startGateway();
    const { page, send, reaches } = await openVisit(browser, first.url);
    await first.stop();
    const picture = await page.screenshot();
    await page.locator("#file").setInputFiles({
      name: "screen.png",
      mimeType: "image/png",
      buffer: picture,
    });
    await page.getByRole("img", { name: "The picture to send" }).waitFor();
    await send("say: Nothing is lost.");
    await reaches("error");
    await page.getByText("The gateway cannot be reached.").waitFor();
    expect(await page.locator(".said").textContent()).toContain("say: Nothing is lost.");
    const again = page.getByRole("button", { name: "Send again" });
    expect(await again.count()).toBe(1);
    const port = Number(new URL(first.url).port);
    const second = await startGateway({ port });
    await again.click();
    await reaches("idle");
    expect(await page.locator(".reply").last().textContent()).toContain("Nothing is lost.");
    expect(second.prompts.at(-1)?.screenshot).toBeDefined();
    expect(await page.locator("#trouble").isVisible()).toBe(false);
    await browser.close();
    await second.stop();
  });

  it("can be sent again after a reply that broke off or was refused", () =>
    visit(async ({ page, send, reaches }) => {
      await send("refuse");
      await reaches("error");
      await page.getByRole("button", { name: "Send again" }).click();
      await expect.poll(() => page.locator(".said").count()).toBe(2);
      await reaches("error");
      expect(await page.getByRole("button", { name: "Send again" }).count()).toBe(1);
    }));

  it("comes back by ArrowUp in an empty box, and not into one with text", () =>
    visit(async ({ page, send, reaches }) => {
      await send("say: The last one.");
      await reaches("idle");
      await page.locator(box).focus();
      await page.keyboard.press("ArrowUp");
      expect(await page.locator(box).inputValue()).toBe("say: The last one.");
      await page.locator(box).fill("mine");
      await page.keyboard.press("ArrowUp");
      expect(await page.locator(box).inputValue()).toBe("mine");
    }));

  it("survives a reload: the draft, the turns, one that was cut, and the session", () =>
    visit(async ({ page, send, reaches, exceeds }) => {
      await send("say: **First** turn.");
      await reaches("idle");
      await send("endless");
      await exceeds("played-samples", 10_000);
      const before = gateway().prompts.at(-1)?.sessionId;
      await page.reload();
      expect(await page.locator(".said").allTextContents()).toEqual([
        "You: say: **First** turn.",
        "You: endless",
      ]);
      expect(await page.locator(".reply").first().locator("strong").textContent()).toBe("First");
      expect(await page.locator(".reply").last().textContent()).toContain("This is sentence 1");
      await page.locator(box).fill("half a thou");
      await page.reload();
      expect(await page.locator(box).inputValue()).toBe("half a thou");
      await page.locator(box).fill("");
      await page.keyboard.press("ArrowUp");
      expect(await page.locator(box).inputValue()).toBe("endless");
      await send("say: On we go.");
      await reaches("idle");
      expect(gateway().prompts.at(-1)?.sessionId).toBe(before);
    }));

  it("goes with New conversation, which begins another session", () =>
    visit(async ({ page, send, reaches }) => {
      await send("say: To be forgotten.");
      await reaches("idle");
      const before = gateway().prompts.at(-1)?.sessionId;
      await page.getByRole("button", { name: "Menu" }).click();
      await page.getByRole("button", { name: "New conversation" }).click();
      expect(await page.locator(".said").count()).toBe(0);
      await page.getByText("Ask, and hear the answer.").waitFor();
      await page.reload();
      expect(await page.locator(".said").count()).toBe(0);
      await send("say: Anew.");
      await reaches("idle");
      expect(gateway().prompts.at(-1)?.sessionId).not.toBe(before);
    }));
});

describe("the length of a prompt", () => {
  const length = "#length";

  it("is counted in characters while it is typed, by the limit of its own script", () =>
    visit(async ({ page }) => {
      await page.locator(box).fill("x".repeat(499));
      expect(await page.locator(length).isVisible()).toBe(false);
      await page.locator(box).fill("x".repeat(1000));
      expect(await page.locator(length).textContent()).toBe("1,000 of 65,531 characters");
      await page.locator(box).fill("ы".repeat(1000));
      expect(await page.locator(length).textContent()).toBe("1,000 of 32,765 characters");
      await page.locator(box).fill("👩‍👩‍👧".repeat(400));
      expect(await page.locator(length).textContent()).toMatch(/^400 of /);
    }));

  it("says how many are too many, and sends nothing then", () =>
    visit(async ({ page, number }) => {
      await page.locator(box).fill("ы".repeat(32_768));
      expect(await page.locator(length).textContent()).toBe("3 characters too long");
      expect(await page.getByRole("button", { name: "Send", exact: true }).isDisabled()).toBe(true);
      await page.keyboard.press("Enter");
      expect(await number("turns")).toBe(0);
      expect(await page.locator(box).inputValue()).toHaveLength(32_768);
    }));
});
