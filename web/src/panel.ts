import type { Failure } from "./failure.ts";
import { find } from "./page.ts";
import type { Surface } from "./surface.ts";

const words: Record<Surface["state"], string> = {
  idle: "Ready",
  connecting: "Asking…",
  speaking: "Speaking",
  error: "Failed",
};

/** The state of the page: its attributes, the numbers, the status line and the Stop button. */
export class Panel {
  readonly #main = find("#turn", HTMLElement);
  readonly #status = find("#status", HTMLElement);
  readonly #trouble = find("#trouble", HTMLElement);
  readonly #stop = find("#stop", HTMLButtonElement);
  readonly #unmute = find("#sound-on", HTMLButtonElement);
  readonly #shown = new Map<string, string>();

  /** Shows what has changed. */
  set(change: Partial<Surface>): void {
    for (const [key, value] of Object.entries(change)) {
      const text = typeof value === "number" ? String(Math.round(value * 10) / 10) : value;
      if (this.#shown.get(key) === text) continue;
      this.#shown.set(key, text);
      this.#main.dataset[key] = text;
      this.#number(key, value);
      if (key === "state" && change.state) this.#showState(change.state);
    }
  }

  /** Says something in the status line until the state changes. */
  say(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  /** Shows what went wrong, until `clear`. */
  fail({ title, detail }: Pick<Failure, "title" | "detail">): void {
    const strong = document.createElement("strong");
    strong.textContent = title;
    this.#trouble.replaceChildren(strong, ` ${detail}`);
    this.#trouble.hidden = false;
  }

  /** Takes the last failure away. */
  clear(): void {
    this.#trouble.hidden = true;
    this.#trouble.replaceChildren();
  }

  /** Shows or hides the button that turns the sound on where the browser holds it back. */
  soundHeld(held: boolean): void {
    if (this.#unmute.hidden !== held) return;
    this.#unmute.hidden = !held;
    this.say(held ? "Your browser holds the sound back." : words.speaking);
  }

  #showState(state: Surface["state"]): void {
    this.say(words[state]);
    document.body.setAttribute("data-state", state);
    const busy = state === "connecting" || state === "speaking";
    if (!busy && document.activeElement === this.#stop) find("#prompt", HTMLElement).focus();
    this.#stop.hidden = !busy;
    if (!busy) this.#unmute.hidden = true;
  }

  #number(key: string, value: number | string): void {
    const place = document.querySelector(`[data-number="${key}"]`);
    if (place) place.textContent = value === "" ? "–" : format(key, Number(value));
  }
}

/** A number of the page in words: milliseconds, kilobytes, or the number itself. */
function format(key: string, value: number): string {
  if (key === "ttft" || key === "ttfa") return `${Math.round(value)} ms`;
  if (key !== "bytes") return String(value);
  return value < 1e6 ? `${Math.round(value / 1e3)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}
