/**
 * Filter coefficients of a resampler: a windowed sinc, cut into phases.
 *
 * Row `p` of `rows` holds the `taps` coefficients of an output sample that lies `p / phases` of an
 * input sample behind the middle of its window. There is one row more than there are phases, so
 * that a position between any two can be interpolated.
 */
export type Kernel = {
  readonly phases: number;
  readonly taps: number;
  readonly rows: readonly Float64Array[];
};

/** Zero crossings of the sinc on either side, counted in samples of the lower rate. */
const halfWidth = 32;
/** Kaiser's beta for images and aliases 110 dB down: below what 16 bits can show. */
const beta = 0.1102 * (110 - 8.7);
/**
 * More phases than this in a sample of the lower rate are interpolated between rows: the error stays
 * under -115 dB, and no table is larger than 66,000 numbers.
 */
const maxPhases = 1024;
/** Tables kept: enough for every usual rate, and a bound when rates come from strangers' files. */
const maxKernels = 16;

const kernels = new Map<string, Kernel>();

/** The table for `up` output samples every `down` input samples (the ratio in lowest terms). */
export function kernelOf(up: number, down: number): Kernel {
  const cutoff = Math.min(1, up / down);
  const phases = Math.min(up, Math.ceil(maxPhases * cutoff));
  const key = `${phases} ${cutoff}`;
  const known = kernels.get(key);
  if (known) return known;
  const kernel = createKernel(phases, cutoff);
  const [oldest] = kernels.keys();
  if (kernels.size >= maxKernels && oldest !== undefined) kernels.delete(oldest);
  kernels.set(key, kernel);
  return kernel;
}

function createKernel(phases: number, cutoff: number): Kernel {
  const half = Math.ceil(halfWidth / cutoff);
  const taps = half * 2;
  const rows = Array.from({ length: phases + 1 }, (_, phase) => {
    const row = new Float64Array(taps).map((_, tap) => {
      const distance = phase / phases + half - 1 - tap;
      return sinc(distance * cutoff) * kaiser(distance / half);
    });
    // A sum of 1 keeps a constant input exactly constant.
    const sum = row.reduce((total, value) => total + value, 0);
    return row.map((value) => value / sum);
  });
  return { phases, taps, rows };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Points of the window's table: between them a straight line is right to within -140 dB. */
const windowPoints = 8_192;
let windowTable: Float64Array | undefined;

/** The Kaiser window over -1..1, zero outside. */
function kaiser(x: number): number {
  windowTable ??= createWindow();
  const position = Math.min(1, Math.abs(x)) * windowPoints;
  const index = Math.floor(position);
  const value = windowTable[index] ?? 0;
  return value + ((windowTable[index + 1] ?? 0) - value) * (position - index);
}

/** One half of the window, from its middle to its end; made once, for Bessel's series is slow. */
function createWindow(): Float64Array {
  const table = Float64Array.from({ length: windowPoints + 1 }, (_, point) =>
    besselI0(beta * Math.sqrt(1 - (point / windowPoints) ** 2)),
  );
  table[windowPoints] = 0;
  return table.map((value) => value / besselI0(beta));
}

/** The modified Bessel function of order 0, by its power series. */
function besselI0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let index = 1; term > sum * 1e-17; index++) {
    term *= (x / (2 * index)) ** 2;
    sum += term;
  }
  return sum;
}
