import { icon } from "../icons.ts";
import { t } from "../messages.ts";
import { duration, share } from "../numbers.ts";
import { eachFrame, find } from "../page.ts";
import { barsOf, drawChart } from "./chart.ts";
import type { Task, WindowScore } from "./client.ts";
import { decode, FileSound, peaksOf } from "./file-sound.ts";

/** Shows one analysis: what it comes to, the chart, and the windows, each of which can be heard. */
export class ResultView {
  readonly #section = find("#analysis-result", HTMLElement);
  readonly #canvas = find("#analysis-chart", HTMLCanvasElement);
  readonly #play = find("#analysis-play", HTMLButtonElement);
  readonly #slider = find("#analysis-position", HTMLInputElement);
  readonly #windows = find("#analysis-windows", HTMLElement);
  #task: Task | undefined;
  #buffer: AudioBuffer | undefined;
  #sound: FileSound | undefined;
  #stopDrawing: (() => void) | undefined;

  constructor() {
    this.#play.addEventListener("click", () => {
      if (this.#sound?.isPlaying) this.#sound.pause();
      else this.#sound?.play();
    });
    this.#slider.addEventListener("input", () => this.#sound?.seek(Number(this.#slider.value)));
    this.#canvas.addEventListener("click", ({ offsetX }) => {
      const seconds = this.#task?.duration_seconds ?? 0;
      this.#sound?.play((offsetX / this.#canvas.clientWidth) * seconds);
    });
    addEventListener("resize", () => this.#draw());
  }

  /** Shows a task that is over. `load` gets its file, for the waveform and to play it. */
  async show(task: Task, load: () => Promise<Blob>): Promise<void> {
    this.hide();
    this.#task = task;
    this.#tell(task);
    this.#section.hidden = false;
    this.#draw();
    const buffer = await load().then(decode, () => undefined);
    if (this.#task !== task || !buffer) return;
    this.#buffer = buffer;
    this.#sound = new FileSound(buffer, () => this.#onSound());
    for (const control of [this.#play, this.#slider]) control.disabled = false;
    for (const button of this.#windows.querySelectorAll("button")) button.disabled = false;
    this.#onSound();
  }

  hide(): void {
    this.#sound?.pause();
    this.#sound = undefined;
    this.#buffer = undefined;
    this.#task = undefined;
    this.#section.hidden = true;
    for (const control of [this.#play, this.#slider]) control.disabled = true;
  }

  /** Silences the file, if it plays. */
  pause(): void {
    if (this.#sound?.isPlaying) this.#sound.pause();
  }

  #tell({ filename, result, analysis_results = [], error_message = "", duration_seconds }: Task) {
    find("#analysis-name", HTMLElement).textContent = filename;
    const verdict = find("#analysis-verdict", HTMLElement);
    const hasScore = typeof result?.mean === "number";
    verdict.textContent = hasScore ? t.verdicts[result.verdict] : t.noScore;
    verdict.dataset["verdict"] = hasScore ? result.verdict : "none";
    const facts: readonly (readonly [string, string])[] = [
      [t.scoreMean, hasScore ? share(result.mean ?? 0) : "–"],
      [t.scoreMax, hasScore ? share(result.max ?? 0) : "–"],
      [t.scoreThreshold, share(result?.threshold ?? 0)],
      [t.fileLength, duration(duration_seconds)],
      [t.scoreModel, result?.model ?? ""],
    ];
    find("#analysis-facts", HTMLElement).replaceChildren(...facts.map(fact));
    find("#analysis-note", HTMLElement).textContent = error_message;
    find("#analysis-limits", HTMLElement).textContent = result?.limits ?? "";
    this.#slider.max = String(duration_seconds);
    this.#windows.replaceChildren(...analysis_results.map((each) => this.#window(each)));
  }

  #window(window: WindowScore): HTMLElement {
    const { score, start_time_seconds: from, end_time_seconds: to } = window;
    const button = document.createElement("button");
    button.type = "button";
    button.disabled = true;
    const span = `${duration(from)}–${duration(to)}`;
    button.textContent = `${span} ${share(score)}`;
    button.setAttribute("aria-label", t.playWindow(span, share(score)));
    button.dataset["from"] = String(from);
    button.addEventListener("click", () => this.#sound?.play(from));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  #onSound(): void {
    const isPlaying = this.#sound?.isPlaying === true;
    this.#play.replaceChildren(icon(isPlaying ? "pause" : "play"));
    this.#play.setAttribute("aria-label", isPlaying ? t.pause : t.play);
    if (isPlaying) this.#stopDrawing ??= eachFrame(() => this.#draw());
    else {
      this.#stopDrawing?.();
      this.#stopDrawing = undefined;
    }
    this.#draw();
  }

  #draw(): void {
    const task = this.#task;
    if (!task || this.#section.hidden) return;
    const atSeconds = this.#sound?.seconds ?? 0;
    this.#slider.value = String(atSeconds);
    const position = t.positionOf(duration(atSeconds), duration(task.duration_seconds));
    this.#slider.setAttribute("aria-valuetext", position);
    find("#analysis-time", HTMLElement).textContent = position;
    for (const button of this.#windows.querySelectorAll("button")) {
      const from = Number(button.dataset["from"]);
      const isHere = this.#sound?.isPlaying === true && Math.floor(atSeconds / 4) * 4 === from;
      button.toggleAttribute("data-sounding", isHere);
    }
    drawChart(this.#canvas, {
      ...(this.#buffer && { peaks: this.#peaks(this.#buffer) }),
      seconds: task.duration_seconds,
      scores: task.analysis_results ?? [],
      threshold: task.result?.threshold ?? 0.5,
      atSeconds,
    });
  }

  #lastPeaks: { readonly buffer: AudioBuffer; readonly peaks: Float32Array } | undefined;

  #peaks(buffer: AudioBuffer): Float32Array {
    const count = barsOf(this.#canvas.clientWidth);
    const last = this.#lastPeaks;
    if (last?.buffer === buffer && last.peaks.length === count) return last.peaks;
    const peaks = peaksOf(buffer, count);
    this.#lastPeaks = { buffer, peaks };
    return peaks;
  }
}

function fact([name, value]: readonly [string, string]): HTMLElement {
  const row = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = name;
  const description = document.createElement("dd");
  description.textContent = value;
  row.append(term, description);
  return row;
}
