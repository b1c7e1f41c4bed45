import { find } from "./page.ts";

/** Keys that scroll a page. */
const scrollKeys = new Set(["PageUp", "PageDown", "Home", "End", "ArrowUp", "ArrowDown"]);

/** How long the page may move after the user has moved it. */
const byHandMs = 400;

/**
 * Says in the document how much room there is for the text as large as it is: media queries do not know
 * how large the user has made it.
 */
function measureRoom(): void {
  const { body, documentElement } = document;
  const textPx = Number.parseFloat(getComputedStyle(documentElement).fontSize);
  body.toggleAttribute("data-low", innerHeight < 30 * textPx);
  body.toggleAttribute("data-narrow", innerWidth < 32 * textPx);
}

/**
 * Keeps what sounds in the middle third of what can be seen between header and prompt box. Once the user
 * scrolls by hand the page stands still, and a button brings back what sounds.
 */
export class Follow {
  readonly #jump = find("#jump", HTMLButtonElement);
  readonly #header = find("header", HTMLElement);
  readonly #composer = find("#composer", HTMLFormElement);
  readonly #still = matchMedia("(prefers-reduced-motion: reduce)");
  #box: (() => DOMRect | undefined) | undefined;
  #following = true;
  #touchedAtMs = Number.NEGATIVE_INFINITY;

  constructor() {
    for (const kind of ["wheel", "touchmove"]) {
      addEventListener(kind, () => this.#touch(), { passive: true });
    }
    addEventListener("keydown", ({ key, target }) => {
      const isText = target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
      if (scrollKeys.has(key) && !isText) this.#touch();
    });
    // A click on the page's own scrollbar hits the root.
    addEventListener("pointerdown", ({ target }) => {
      if (target === document.documentElement) this.#touch();
    });
    addEventListener("scroll", () => this.#leave(), { passive: true });
    this.#jump.addEventListener("click", () => this.now());
    const measure = () => {
      measureRoom();
      const { top, bottom } = this.#view();
      document.documentElement.style.setProperty("--view", `${Math.max(0, bottom - top)}px`);
    };
    const watch = new ResizeObserver(measure);
    watch.observe(this.#header);
    watch.observe(this.#composer);
    addEventListener("resize", measure);
    measure();
  }

  /** Follows what `box` finds on the screen. */
  begin(box: () => DOMRect | undefined): void {
    this.#box = box;
    this.now();
  }

  /** Nothing sounds any more. */
  end(): void {
    this.#box = undefined;
    this.#jump.hidden = true;
  }

  /** To be called when what sounds has moved. */
  moved(): void {
    if (!this.#box) return;
    if (this.#following) this.#scroll();
    else if (this.#isInside()) this.now();
  }

  /** Follows again, from now on. */
  now(): void {
    this.#following = true;
    this.#jump.hidden = true;
    this.#scroll();
  }

  #touch(): void {
    this.#touchedAtMs = performance.now();
  }

  // Only what the user did just now moves the page by hand; the rest is our own doing.
  #leave(): void {
    const byHand = performance.now() - this.#touchedAtMs < byHandMs;
    if (!this.#box || !this.#following || !byHand || this.#isInside()) return;
    this.#following = false;
    this.#jump.hidden = false;
  }

  #isInside(): boolean {
    const box = this.#box?.();
    const { top, bottom } = this.#view();
    const third = (bottom - top) / 3;
    return box !== undefined && box.top >= top + third && box.bottom <= bottom - third;
  }

  #scroll(): void {
    const box = this.#box?.();
    if (!box || this.#isInside()) return;
    const { top, bottom } = this.#view();
    const by = (box.top + box.bottom) / 2 - (top + bottom) / 2;
    scrollBy({ top: by, behavior: this.#still.matches ? "instant" : "smooth" });
  }

  /** What can be seen of the conversation: header and prompt box lie over it where they stick. */
  #view(): { top: number; bottom: number } {
    const sticks = (element: HTMLElement) => getComputedStyle(element).position === "sticky";
    const header = this.#header.getBoundingClientRect();
    const composer = this.#composer.getBoundingClientRect();
    return {
      top: sticks(this.#header) ? header.height : 0,
      bottom: sticks(this.#composer) ? innerHeight - composer.height : innerHeight,
    };
  }
}
