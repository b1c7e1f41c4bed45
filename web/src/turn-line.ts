import { type Icon, icon } from "./icons.ts";
import { t } from "./messages.ts";
import { duration, seconds } from "./numbers.ts";
import { holdPress } from "./page.ts";
import type { Timeline } from "./timeline.ts";
import { waterfall } from "./waterfall.ts";

/** What the user does with a turn. Samples count from the start of its voice. */
export type TurnLineEvents = {
  play(): void;
  pause(): void;
  seek(sample: number): void;
  copy(): void;
  /** The voice as a file; undefined while it is still being made. */
  file(): Blob | undefined;
};

const nothing = () => undefined;

/** For a turn whose sound is gone. */
export const withoutSound = { play: nothing, pause: nothing, seek: nothing, file: nothing };

const samplesASecond = 48_000;

/** The quiet line under a turn: play, seek, copy, download, and what took how long. */
export class TurnLine {
  readonly element = document.createElement("div");
  readonly #play = button("play", t.play);
  readonly #seek = document.createElement("input");
  readonly #time = document.createElement("span");
  readonly #copy = button("copy", t.copy);
  readonly #download = button("download", t.download);
  readonly #details = document.createElement("details");
  #playing = false;
  #seeking = false;
  #samples = 0;
  #timeline: Timeline | undefined;

  constructor(on: TurnLineEvents) {
    this.element.className = "turn-line";
    this.#seek.type = "range";
    this.#seek.min = "0";
    this.#seek.step = "0.1";
    this.#seek.setAttribute("aria-label", t.position);
    this.#time.className = "time";
    this.#details.className = "timing";
    this.element.append(this.#play, this.#seek, this.#time);
    this.element.append(this.#copy, this.#download, this.#details);
    for (const part of this.element.children) (part as HTMLElement).hidden = true;
    this.#play.addEventListener("click", () => (this.#playing ? on.pause() : on.play()));
    // While it is held the thumb belongs to the user, not to the voice.
    this.#seek.addEventListener("input", () => {
      this.#seeking = true;
      this.#showTime(this.#seek.valueAsNumber);
    });
    this.#seek.addEventListener("change", () => {
      this.#seeking = false;
      on.seek(Math.round(this.#seek.valueAsNumber * samplesASecond));
    });
    this.#copy.addEventListener("click", on.copy);
    this.#download.addEventListener("click", () => download(on.file()));
    this.#details.addEventListener("toggle", () => this.#open());
  }

  /** The voice is at this sample of so many, and sounds or not. */
  at(sample: number, samples: number, playing: boolean): void {
    if (samples === 0) return;
    for (const part of [this.#play, this.#seek, this.#time]) part.hidden = false;
    if (playing !== this.#playing) {
      this.#playing = playing;
      relabel(this.#play, playing ? "pause" : "play", playing ? t.pause : t.play);
    }
    if (samples !== this.#samples) this.#seek.max = (samples / samplesASecond).toFixed(1);
    this.#samples = samples;
    if (this.#seeking) return;
    const at = Math.round((sample / samplesASecond) * 10) / 10;
    if (this.#seek.valueAsNumber === at && this.#time.textContent) return;
    this.#seek.valueAsNumber = at;
    this.#showTime(at);
  }

  /** The turn is over: what can be done with its text and its sound. */
  close(parts: { text: boolean; sound: boolean; timeline?: Timeline }): void {
    this.#copy.hidden = !parts.text;
    this.#download.hidden = !parts.sound;
    const { timeline } = parts;
    if (!timeline) return;
    const summary = document.createElement("summary");
    const ms = timeline.soundMs ?? timeline.moments.find(({ kind }) => kind === "words")?.atMs;
    if (ms === undefined) return;
    summary.textContent =
      timeline.soundMs === undefined ? t.firstWord(seconds(ms)) : t.firstSound(seconds(ms));
    this.#details.replaceChildren(summary);
    this.#details.hidden = false;
    this.#timeline = timeline;
  }

  /** What was copied is said on the button for a moment. */
  copied(): void {
    relabel(this.#copy, "copy", t.copied);
    setTimeout(() => relabel(this.#copy, "copy", t.copy), 2000);
  }

  // Made when it is looked at: most never are.
  #open(): void {
    if (!this.#timeline || !this.#details.open || this.#details.childElementCount > 1) return;
    this.#details.append(waterfall(this.#timeline));
  }

  #showTime(at: number): void {
    const whole = this.#samples / samplesASecond;
    this.#time.textContent = `${duration(at)} / ${duration(whole)}`;
    this.#seek.setAttribute("aria-valuetext", t.positionOf(duration(at), duration(whole)));
  }
}

/** A file that the browser saves. */
function download(file: Blob | undefined): void {
  if (!file) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "parley.wav";
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function button(name: Icon, label: string): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "small";
  relabel(element, name, label);
  holdPress(element);
  return element;
}

function relabel(element: HTMLButtonElement, name: Icon, label: string): void {
  element.replaceChildren(icon(name));
  element.setAttribute("aria-label", label);
  element.title = label;
}
