import { describe, expect, it } from "vitest";
import { en } from "../../web/src/messages-en.ts";
import { ru } from "../../web/src/messages-ru.ts";
import { createSuite } from "./suite.ts";

const { visit } = createSuite();

/** Latin words that stand in Russian too: names, and what is on the keys. */
const names =
  /Parley|gRPC-Web|Connect|WAV|JPEG|Enter|Shift|Esc|Tab|test|Azure|Edge|https|localhost/g;

/** Everything that can be read or heard of the page: texts, labels, titles, placeholders. */
const everything = `(() => {
  const words = [document.title];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) words.push(walker.currentNode.data);
  for (const element of document.querySelectorAll("*")) {
    for (const name of ["aria-label", "title", "placeholder", "aria-valuetext", "content"]) {
      const value = element.getAttribute(name);
      if (value && element.tagName !== "META") words.push(value);
    }
  }
  words.push(document.querySelector('meta[name="description"]').content);
  return words.map((each) => each.trim()).filter(Boolean);
})()`;

describe("the page's language", () => {
  it("is Russian, every word of it, in a Russian browser", () =>
    visit(
      async ({ page, send, reaches }) => {
        const latin = async () => {
          const all = (await page.evaluate(everything)) as string[];
          return all.filter((each) => /[a-z]{2}/i.test(each.replaceAll(names, "")));
        };
        expect(await page.locator("html").getAttribute("lang")).toBe("ru");
        await page.locator("#who", { hasText: "Тон" }).waitFor();
        expect(await latin()).toEqual([]);
        await send("say: Добрый день.");
        await reaches("speaking");
        await reaches("idle");
        await page.getByText(/^первый звук 0,\d\d с$/).click();
        // The raw events are the wire's; what was typed is the user's.
        const shown = (await latin()).filter((each) => !/^\{|^say:/.test(each));
        expect(shown).toEqual([]);
        await send("refuse");
        await reaches("error");
        await page.getByText("Сейчас ответ получить нельзя.").waitFor();
        await page.getByRole("button", { name: "Отправить снова" }).waitFor();
      },
      { locale: "ru-RU" },
    ));

  it.each([
    ["en-GB", "en", "Ask, and hear the answer."],
    ["fr-FR", "en", "Ask, and hear the answer."],
    ["ru", "ru", "Спросите и услышьте ответ."],
  ])("in a browser of %s is %s", (locale, lang, title) =>
    visit(
      async ({ page }) => {
        expect(await page.locator("html").getAttribute("lang")).toBe(lang);
        await page.getByRole("heading", { name: title }).waitFor();
      },
      { locale },
    ),
  );

  it("writes from right to left where the reply does", () =>
    visit(async ({ page, send, reaches }) => {
      await send("reply:שלום **עולם**. And this is English.");
      await reaches("speaking");
      const direction = `getComputedStyle(document.querySelector(".reply > p")).direction`;
      expect(await page.evaluate(direction)).toBe("rtl");
      await page.keyboard.press("Escape");
    }));
});

describe("the Russian words", () => {
  it("are there for every English one, and are Russian", () => {
    expect(Object.keys(ru)).toEqual(Object.keys(en));
    const texts = Object.entries(ru).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value] as const] : [],
    );
    const strange = texts.filter(([, text]) => /[a-z]{2}/i.test(text.replaceAll(names, "")));
    expect(strange).toEqual([]);
    expect(texts.filter(([, text]) => !/[а-яё]/i.test(text))).toEqual([["parleySays", "Parley:"]]);
  });
});
