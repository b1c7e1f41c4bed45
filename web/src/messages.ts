import { en, type Messages } from "./messages-en.ts";
import { ru } from "./messages-ru.ts";

/** The browser's language, as far as the page speaks it. */
export const locale: "en" | "ru" = choose(navigator.languages);

/** The page's words. */
export const t: Messages = locale === "ru" ? ru : en;

/** The first of these languages that the page speaks; else English. */
export function choose(languages: readonly string[]): "en" | "ru" {
  const known = languages.map((tag) => tag.toLowerCase().split("-", 1)[0]);
  return known.find((language) => language === "en" || language === "ru") === "ru" ? "ru" : "en";
}

/** Puts the words into index.html, which holds them in English. */
export function translate(root: ParentNode): void {
  document.documentElement.lang = locale;
  for (const element of root.querySelectorAll<HTMLElement>("[data-t]")) {
    element.textContent = say(element.dataset["t"]);
  }
  for (const name of ["aria-label", "placeholder", "title", "content"]) {
    for (const element of root.querySelectorAll(`[data-t-${name}]`)) {
      element.setAttribute(name, say(element.getAttribute(`data-t-${name}`) ?? ""));
    }
  }
}

/** A tier by its name for people. */
export function tierName(tier: string): string {
  return t.tiers[tier] ?? tier;
}

/** Who took over from whom. `midway`: the other one had begun. */
export function handover(
  { tier, from }: { readonly tier: string; readonly from: string },
  midway: boolean,
): string {
  const [one, other] = [tierName(from), tierName(tier)];
  return midway ? t.handover(one, other) : t.takeover(one, other);
}

function say(key: string | undefined): string {
  const message = t[key as keyof Messages];
  if (typeof message !== "string") throw new Error(`index.html asks for "${key}"`);
  return message;
}
