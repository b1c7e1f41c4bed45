import { type Place, sliding, still, stridePx, type WaveSight } from "./wave-place.ts";

const barPx = 3;
const stillIntervalMs = 500;

/**
 * Draws the voice as bars: what was heard on the left in the accent colour, what is still to come
 * on the right, the loudspeaker in the middle. Where motion is not wanted nothing slides: the whole
 * turn stands still and fills up twice a second.
 */
export class Wave {
  readonly #canvas: HTMLCanvasElement;
  readonly #still = matchMedia("(prefers-reduced-motion: reduce)");
  #drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  /** Draws one picture. Without a sight, a quiet line. `now` leaves no picture out. */
  draw(sight?: WaveSight, now = false): void {
    const atMs = performance.now();
    if (!now && this.#still.matches && atMs - this.#drawnAtMs < stillIntervalMs) return;
    this.#drawnAtMs = atMs;
    const { width, height } = this.#fit();
    const count = Math.ceil(width / stridePx) + 1;
    const place = this.#still.matches ? still(sight, count) : sliding(sight, count);
    this.#paint(place, count, height);
  }

  #fit(): { width: number; height: number } {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const scale = devicePixelRatio;
    const fits =
      this.#canvas.width === Math.round(width * scale) &&
      this.#canvas.height === Math.round(height * scale);
    if (!fits) {
      this.#canvas.width = Math.round(width * scale);
      this.#canvas.height = Math.round(height * scale);
    }
    const context = this.#canvas.getContext("2d");
    context?.setTransform(scale, 0, 0, scale, 0, 0);
    context?.clearRect(0, 0, width, height);
    return { width, height };
  }

  #paint(place: Place, count: number, height: number): void {
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    const style = getComputedStyle(this.#canvas);
    const colours = [
      style.getPropertyValue("--wave-heard"),
      style.getPropertyValue("--wave-ahead"),
    ];
    for (let bar = 0; bar < count; bar++) {
      const { level, heard } = place.bar(bar);
      const tall = Math.max(barPx, level * height);
      context.fillStyle = colours[heard ? 0 : 1] ?? "gray";
      context.beginPath();
      context.roundRect(
        bar * stridePx - place.offsetPx,
        (height - tall) / 2,
        barPx,
        tall,
        barPx / 2,
      );
      context.fill();
    }
  }
}
