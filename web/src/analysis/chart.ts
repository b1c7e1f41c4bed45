import type { WindowScore } from "./client.ts";

/** What a chart shows. */
export type Sight = {
  /** The loudest sample of each part of the file; absent where the browser cannot decode it. */
  readonly peaks?: Float32Array;
  readonly seconds: number;
  readonly scores: readonly WindowScore[];
  readonly threshold: number;
  /** Where it plays. */
  readonly atSeconds: number;
};

const barPx = 2;
const stridePx = 3;
const lineWidthPx = 2;

/** How many bars a chart of this width has. */
export function barsOf(width: number): number {
  return Math.max(1, Math.floor(width / stridePx));
}

/**
 * Draws the waveform, brighter where it was played, with the scores laid over it as a line: at the top a
 * window is surely synthetic, at the bottom surely real. The dashed line is the threshold. The loudest
 * part is as tall as any.
 */
export function drawChart(canvas: HTMLCanvasElement, sight: Sight): void {
  const context = fitCanvas(canvas);
  if (!context) return;
  const { clientWidth: width, clientHeight: height } = canvas;
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(name);
  const x = (seconds: number) => (seconds / sight.seconds) * width;
  const y = (score: number) => lineWidthPx + (1 - score) * (height - 2 * lineWidthPx);
  const bars = barsOf(width);
  const loudest = Math.max(0.01, ...(sight.peaks ?? []));
  for (let bar = 0; bar < bars; bar++) {
    const peak = sight.peaks?.[Math.floor((bar * (sight.peaks.length - 1)) / bars)] ?? 0;
    const tall = Math.max(barPx, (peak / loudest) * height * 0.8);
    const isPlayed = bar * stridePx < x(sight.atSeconds);
    context.fillStyle = colour(isPlayed ? "--wave-heard" : "--wave-ahead");
    context.fillRect(bar * stridePx, (height - tall) / 2, barPx, tall);
  }
  context.lineWidth = lineWidthPx;
  context.strokeStyle = colour("--muted");
  context.setLineDash([4, 4]);
  line(context, [
    [0, y(sight.threshold)],
    [width, y(sight.threshold)],
  ]);
  context.setLineDash([]);
  for (const { score, start_time_seconds: from, end_time_seconds: to } of sight.scores) {
    context.strokeStyle = colour(score >= sight.threshold ? "--alarm" : "--ink");
    line(context, [
      [x(from) + 1, y(score)],
      [x(to) - 1, y(score)],
    ]);
  }
}

function fitCanvas(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  const context = canvas.getContext("2d");
  context?.scale(devicePixelRatio, devicePixelRatio);
  return context;
}

function line(context: CanvasRenderingContext2D, points: readonly (readonly [number, number])[]) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
