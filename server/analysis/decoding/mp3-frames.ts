/** Follows the frames of an MP3 file, to know whether it ends where a frame ends. */
export type FrameCounter = {
  push(bytes: Uint8Array): void;
  /** Whether the file ends within a frame, or has fewer frames than its first one says. */
  isCutShort(): boolean;
};

/** Kilobits a second by the header's index: MPEG-1 layers I to III, then MPEG-2 layer I, and II and III. */
const bitrates = {
  "1/1": [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
  "1/2": [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
  "1/3": [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  "2/1": [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
  "2/2": [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
} as const;
const rates = [44_100, 48_000, 32_000];
const HEADER_BYTES = 4;
/** Enough of a first frame to hold a Xing header, and its count of frames. */
const FIRST_BYTES = 64;

/** Length in bytes of the frame that has this header; undefined if it is none. 0: the length is open. */
export function mp3FrameBytes(header: number): number | undefined {
  const version = (header >>> 19) & 3;
  const layer = 4 - ((header >>> 17) & 3);
  const rateIndex = (header >>> 10) & 3;
  const index = (header >>> 12) & 15;
  if (header >>> 21 !== 0x7ff || version === 1 || layer === 4) return undefined;
  if (rateIndex === 3 || index === 15) return undefined;
  if (index === 0) return 0;
  const isFirst = version === 3;
  const table = isFirst ? (`1/${layer}` as "1/1") : layer === 1 ? "2/1" : "2/2";
  const rateHz = (rates[rateIndex] as number) / (isFirst ? 1 : version === 2 ? 2 : 4);
  const bits = (bitrates[table][index] as number) * 1000;
  const padding = (header >>> 9) & 1;
  if (layer === 1) return (Math.floor((12 * bits) / rateHz) + padding) * 4;
  const samples = layer === 3 && !isFirst ? 576 : 1152;
  return Math.floor((samples / 8) * (bits / rateHz)) + padding;
}

/** Creates a counter. Tags before, between and behind the frames are passed over. */
export function createFrameCounter(): FrameCounter {
  let held: Uint8Array = new Uint8Array(0);
  let toSkip = 0;
  let isInFrame = false;
  let isOpen = false;
  let frames = 0;
  let promised = 0;
  /** Bytes of the next frame or tag at the beginning of `held`; undefined if there is none. */
  const measure = (): number | undefined => {
    const tag = tagBytes(held);
    isInFrame = tag === undefined;
    const bytes = tag ?? mp3FrameBytes(Buffer.from(held).readUInt32BE());
    if (bytes === 0) isOpen = true;
    return bytes || undefined;
  };
  const next = (isEnd: boolean): boolean => {
    if (held.length < (isEnd ? HEADER_BYTES : FIRST_BYTES)) return false;
    const bytes = measure();
    if (bytes === undefined) {
      isInFrame = false;
      held = held.subarray(1);
      return true;
    }
    if (isInFrame && frames === 0) promised = promisedFrames(held.subarray(0, FIRST_BYTES));
    if (isInFrame) frames += 1;
    toSkip = bytes;
    return true;
  };
  const skip = () => {
    const skipped = Math.min(toSkip, held.length);
    toSkip -= skipped;
    held = held.subarray(skipped);
    if (toSkip === 0 && skipped > 0) isInFrame = false;
  };
  const run = (isEnd: boolean) => {
    skip();
    while (toSkip === 0 && next(isEnd)) skip();
  };
  return {
    push(bytes) {
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      run(false);
      held = Uint8Array.from(held);
    },
    isCutShort() {
      run(true);
      if (isOpen || frames === 0) return false;
      return (isInFrame && toSkip > 0) || frames - 1 < promised;
    },
  };
}

/** Length of a tag that begins here. */
function tagBytes(bytes: Uint8Array): number | undefined {
  const name = Buffer.from(bytes.subarray(0, 3)).toString("latin1");
  if (name === "TAG") return 128;
  if (name !== "ID3" || bytes.length < 10) return undefined;
  const size = [6, 7, 8, 9].reduce((sum, at) => sum * 128 + ((bytes[at] as number) & 127), 0);
  return size + 10;
}

/** How many frames follow, by the Xing or Info header in the first one; 0 if it has none. */
function promisedFrames(first: Uint8Array): number {
  const bytes = Buffer.from(first);
  for (const at of [13, 21, 36]) {
    const name = bytes.toString("latin1", at, at + 4);
    if (name !== "Xing" && name !== "Info") continue;
    const hasCount = (bytes.readUInt32BE(at + 4) & 1) === 1;
    return hasCount ? bytes.readUInt32BE(at + 8) : 0;
  }
  return 0;
}
