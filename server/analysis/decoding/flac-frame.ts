/** What a FLAC file says of itself. 0: it does not say. */
export type StreamInfo = {
  readonly maxFrameBytes: number;
  readonly sampleRateHz: number;
  readonly bitsPerSample: number;
  readonly samples: number;
};

/** A decoded frame. */
export type Frame = {
  /** Whole numbers of `bitsPerSample` bits. */
  readonly channels: readonly Float32Array[];
  readonly bitsPerSample: number;
  readonly sampleRateHz: number;
  /** Its bytes. */
  readonly length: number;
};

const blockSizes = [
  0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768,
];
const ratesHz = [
  0, 88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
];
const sampleBits = [0, 8, 12, 0, 16, 20, 24, 32];
/** The polynomials that are always the same, by their order. */
const fixed = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]] as const;
const MAX_CHANNELS = 8;
/** How two channels may be coded as one and what the other differs by. */
const [LEFT_SIDE, SIDE_RIGHT, MID_SIDE] = [8, 9, 10];

/** Decodes the frame at the beginning of `bytes`. Throws an Error if there is none, or its end is missing. */
export function decodeFrame(bytes: Uint8Array, info: StreamInfo): Frame {
  const bits = createBitReader(bytes);
  if (bits.read(15) !== 0x7ffc) throw new Error("no frame where one must begin");
  bits.read(1);
  const [size, rate, assignment, width] = [bits.read(4), bits.read(4), bits.read(4), bits.read(3)];
  bits.read(1);
  skipNumber(bits);
  const samples = size === 6 ? bits.read(8) + 1 : size === 7 ? bits.read(16) + 1 : blockSizes[size];
  const sampleRateHz = rateOf(rate, bits, info);
  bits.read(8);
  const bitsPerSample = sampleBits[width] || info.bitsPerSample;
  const count = assignment < MAX_CHANNELS ? assignment + 1 : 2;
  if (!samples || assignment > MID_SIDE || width === 3) throw new Error("a reserved value");
  const coded = Array.from({ length: count }, (_, channel) => {
    const isSide = assignment === SIDE_RIGHT ? channel === 0 : assignment > 7 && channel === 1;
    return readSubframe(bits, samples, bitsPerSample + (isSide ? 1 : 0));
  });
  bits.align();
  bits.read(16);
  const channels = separate(coded, assignment).map((channel) => Float32Array.from(channel));
  return { channels, bitsPerSample, sampleRateHz, length: bits.position() };
}

function rateOf(code: number, bits: BitReader, info: StreamInfo): number {
  if (code === 12) return bits.read(8) * 1000;
  if (code === 13) return bits.read(16);
  if (code === 14) return bits.read(16) * 10;
  if (code === 15) throw new Error("a reserved rate");
  return ratesHz[code] || info.sampleRateHz;
}

/** The frame's number, in as many bytes as UTF-8 would take. */
function skipNumber(bits: BitReader): void {
  const ones = Math.clz32(~(bits.read(8) << 24));
  for (let left = Math.max(0, ones - 1); left > 0; left--) bits.read(8);
}

function separate(coded: readonly Float64Array[], assignment: number): readonly Float64Array[] {
  const [first, second] = coded;
  if (assignment < MAX_CHANNELS || !first || !second) return coded;
  for (let at = 0; at < first.length; at++) {
    const [a, b] = [first[at] as number, second[at] as number];
    if (assignment === LEFT_SIDE) second[at] = a - b;
    else if (assignment === SIDE_RIGHT) first[at] = a + b;
    else {
      // The lowest bit of the sum is that of the difference.
      const sum = a * 2 + (Math.abs(b) % 2);
      first[at] = (sum + b) / 2;
      second[at] = (sum - b) / 2;
    }
  }
  return coded;
}

function readSubframe(bits: BitReader, samples: number, width: number): Float64Array {
  if (bits.read(1) !== 0) throw new Error("a reserved bit");
  const type = bits.read(6);
  const wasted = bits.read(1) === 1 ? bits.zeros() + 1 : 0;
  const out = new Float64Array(samples);
  const own = width - wasted;
  if (own < 1) throw new Error("no bits are left");
  if (type === 0) out.fill(bits.signed(own));
  else if (type === 1) for (let at = 0; at < samples; at++) out[at] = bits.signed(own);
  else if (type >= 8 && type <= 12) readPredicted(bits, out, { order: type - 8, width: own });
  else if (type >= 32) readPredicted(bits, out, { order: type - 31, width: own, isLinear: true });
  else throw new Error("a reserved kind of subframe");
  if (wasted > 0) for (let at = 0; at < samples; at++) out[at] = (out[at] as number) * 2 ** wasted;
  return out;
}

type Prediction = { readonly order: number; readonly width: number; readonly isLinear?: boolean };

function readPredicted(bits: BitReader, out: Float64Array, prediction: Prediction): void {
  const { order, width, isLinear = false } = prediction;
  if (order > out.length) throw new Error("a predictor longer than its frame");
  for (let at = 0; at < order; at++) out[at] = bits.signed(width);
  const { factors, divisor } = isLinear
    ? readPredictor(bits, order)
    : { factors: fixed[order as 0] ?? [], divisor: 1 };
  readResidual(bits, out, order);
  for (let at = order; at < out.length; at++) {
    let sum = 0;
    for (let tap = 0; tap < order; tap++) {
      sum += (factors[tap] as number) * (out[at - 1 - tap] as number);
    }
    out[at] = (out[at] as number) + Math.floor(sum / divisor);
  }
}

function readPredictor(bits: BitReader, order: number) {
  const precision = bits.read(4) + 1;
  if (precision === 16) throw new Error("a reserved precision");
  const divisor = 2 ** bits.signed(5);
  if (divisor < 1) throw new Error("a negative shift");
  return { factors: Array.from({ length: order }, () => bits.signed(precision)), divisor };
}

/** What the predictor misses, in partitions of one Rice parameter each. */
function readResidual(bits: BitReader, out: Float64Array, order: number): void {
  const method = bits.read(2);
  if (method > 1) throw new Error("a reserved coding");
  const parameterBits = method === 0 ? 4 : 5;
  const unpacked = 2 ** parameterBits - 1;
  const partitions = 2 ** bits.read(4);
  const length = out.length / partitions;
  if (!Number.isInteger(length) || length < order) throw new Error("partitions that do not fit");
  for (let partition = 0, at = order; partition < partitions; partition++) {
    const end = (partition + 1) * length;
    const parameter = bits.read(parameterBits);
    const width = parameter === unpacked ? bits.read(5) : undefined;
    for (; at < end; at++) out[at] = readMiss(bits, parameter, width);
  }
}

function readMiss(bits: BitReader, parameter: number, width: number | undefined): number {
  if (width === undefined) return bits.rice(parameter);
  return width === 0 ? 0 : bits.signed(width);
}

type BitReader = ReturnType<typeof createBitReader>;

/** Reads numbers of whole bits, the highest first. Throws a RangeError at the end. */
function createBitReader(bytes: Uint8Array) {
  let at = 0;
  /** The bits of the byte before `at` that were not read. */
  let left = 0;
  let current = 0;
  const next = () => {
    if (at >= bytes.length) throw new RangeError("the frame ends too early");
    current = bytes[at++] as number;
    left = 8;
  };
  const read = (count: number): number => {
    let value = 0;
    let wanted = count;
    while (wanted > 0) {
      if (left === 0) next();
      const taken = Math.min(wanted, left);
      left -= taken;
      value = value * 2 ** taken + ((current >> left) & (2 ** taken - 1));
      wanted -= taken;
    }
    return value;
  };
  const zeros = (): number => {
    let count = 0;
    for (;;) {
      if (left === 0) next();
      const rest = current & (2 ** left - 1);
      const leading = Math.clz32(rest) - (32 - left);
      count += leading;
      left -= leading;
      if (rest === 0) continue;
      left -= 1;
      return count;
    }
  };
  return {
    read,
    /** Zeros up to the next one, which is taken too. */
    zeros,
    signed(count: number): number {
      const value = read(count);
      return value >= 2 ** (count - 1) ? value - 2 ** count : value;
    },
    rice(parameter: number): number {
      const value = zeros() * 2 ** parameter + read(parameter);
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    },
    align() {
      left = 0;
    },
    position: () => at,
  };
}

const crc16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 8;
  for (let bit = 0; bit < 8; bit++) value = value & 0x8000 ? (value << 1) ^ 0x8005 : value << 1;
  return value & 0xffff;
});

/** Checks the checksum that ends a frame: over all of it the remainder is 0. Throws an Error. */
export function checkFrame(frame: Uint8Array): void {
  let crc = 0;
  for (const byte of frame) crc = ((crc << 8) & 0xffff) ^ (crc16[(crc >> 8) ^ byte] as number);
  if (crc !== 0) throw new Error("another checksum");
}
