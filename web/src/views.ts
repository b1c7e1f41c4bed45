import { AnalysisPage } from "./analysis/analysis-page.ts";
import { t } from "./messages.ts";
import { find } from "./page.ts";

/** A part of the page, by its address: `#talk`, `#check`. */
type View = "talk" | "check";

const talkElements = ["#turn", "#composer", "#who"];

/** Whether the conversation is what the page shows. */
export function isTalkShown(): boolean {
  return !find("#turn", HTMLElement).hidden;
}

/**
 * The two parts of the page: the conversation, and the check of voices. The second is offered where the
 * gateway has it.
 */
export class Views {
  readonly #nav = find("#views", HTMLElement);
  #page: AnalysisPage | undefined;
  #isOffered = false;

  constructor() {
    addEventListener("hashchange", () => this.#show());
  }

  /** Whether the gateway analyses sound. */
  offerCheck(isOffered: boolean): void {
    this.#isOffered = isOffered;
    this.#nav.hidden = !isOffered;
    this.#show();
  }

  #show(): void {
    const view: View = this.#isOffered && location.hash === "#check" ? "check" : "talk";
    for (const link of this.#nav.querySelectorAll("a")) {
      const isHere = link.hash === `#${view}`;
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    for (const selector of talkElements) find(selector, HTMLElement).hidden = view !== "talk";
    const check = find("#analysis", HTMLElement);
    const wasCheck = !check.hidden;
    check.hidden = view !== "check";
    find("#drop", HTMLElement).textContent = view === "check" ? t.dropFile : t.dropHere;
    if (view === "check") {
      this.#page ??= new AnalysisPage();
      this.#page.show();
    } else if (wasCheck) this.#page?.leave();
  }
}
