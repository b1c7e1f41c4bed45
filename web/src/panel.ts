import { t } from "./messages.ts";
import { find } from "./page.ts";
import { isBusy, type State, type Surface } from "./surface.ts";

const words: Record<State, string> = {
  idle: t.ready,
  connecting: t.asking,
  writing: t.writing,
  speaking: t.speaking,
  buffering: t.buffering,
  paused: t.paused,
  muted: t.playsMuted,
  held: t.soundHeld,
  text: t.textOnly,
  interrupted: t.interrupted,
  error: t.failed,
};

/** The state of the page: its attributes, the status line and the Stop button. */
export class Panel {
  readonly #main = find("#turn", HTMLElement);
  readonly #status = find("#status", HTMLElement);
  readonly #trouble = find("#trouble", HTMLElement);
  readonly #stop = find("#stop", HTMLButtonElement);
  readonly #unmute = find("#sound-on", HTMLButtonElement);
  readonly #announcer = find("#announcer", HTMLElement);
  readonly #shown = new Map<string, string>();
  #state: State = "idle";

  /** What is going on. */
  get state(): State {
    return this.#state;
  }

  /** Shows what has changed. */
  set(change: Partial<Surface>): void {
    for (const [key, value] of Object.entries(change)) {
      const text = typeof value === "number" ? String(Math.round(value * 10) / 10) : value;
      if (this.#shown.get(key) === text) continue;
      this.#shown.set(key, text);
      this.#main.dataset[key] = text;
      if (key === "state" && change.state) this.#showState(change.state);
    }
  }

  /** Says something in the status line until the state changes. */
  say(text: string): void {
    if (this.#status.textContent === text) return;
    this.#status.textContent = text;
    this.announce(text);
  }

  /**
   * Tells a screen reader, but not while a voice sounds: two would talk at once. `goesOn`: behind what it
   * was told before.
   */
  announce(text: string, goesOn = false): void {
    if (this.#state === "speaking") return;
    const line = document.createElement("p");
    line.textContent = text;
    if (goesOn) this.#announcer.append(line);
    else this.#announcer.replaceChildren(line);
  }

  /** Shows what went wrong, until `clear`. */
  fail({ title, detail }: { title: string; detail: string }): void {
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

  #showState(state: State): void {
    this.#state = state;
    this.say(words[state]);
    document.body.setAttribute("data-state", state);
    const busy = isBusy(state);
    if (!busy && document.activeElement === this.#stop) find("#prompt", HTMLElement).focus();
    this.#stop.hidden = !busy;
    this.#unmute.hidden = state !== "held";
  }
}
