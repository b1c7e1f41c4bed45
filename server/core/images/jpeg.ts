import type { ImageSize } from "./size.ts";

const START_OF_SCAN = 0xda;
/** Bounds on what stands before the first scan: far more than encoders write. */
const MAX_SEGMENTS = 1000;
const MAX_FILL_BYTES = 1024;
const END_OF_IMAGE = [0xff, 0xd9];

/** Frames that common decoders read: baseline, extended and progressive, all with Huffman codes. */
const frameMarkers = new Set([0xc0, 0xc1, 0xc2]);
/** Lossless, hierarchical and arithmetic frames. */
const otherFrameMarkers = new Set([0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

/**
 * Reads the size of a JPEG from its frame header. Undefined unless the segments up to the first scan
 * are whole, there is exactly one frame, and the image's end is there.
 */
export function jpegSize(file: Uint8Array): ImageSize | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let size: ImageSize | undefined;
  let segment = segmentAt(view, 2);
  for (let count = 0; segment && count < MAX_SEGMENTS; count++) {
    if (segment.marker === START_OF_SCAN) return hasEnd(file, segment.end) ? size : undefined;
    if (otherFrameMarkers.has(segment.marker)) return undefined;
    if (frameMarkers.has(segment.marker)) {
      if (size) return undefined;
      size = frameSize(view, segment);
    }
    segment = segmentAt(view, segment.end);
  }
  return undefined;
}

/** Within a scan a marker's first byte is escaped: these two are the end, or stand behind it. */
function hasEnd(file: Uint8Array, scanAt: number): boolean {
  const scans = Buffer.from(file.buffer, file.byteOffset + scanAt, file.byteLength - scanAt);
  return scans.includes(Buffer.from(END_OF_IMAGE));
}

type Segment = { readonly marker: number; readonly begin: number; readonly end: number };

/** The segment that begins at `at`, if it is whole. `begin` is where its length stands. */
function segmentAt(view: DataView, at: number): Segment | undefined {
  let begin = at;
  if (begin >= view.byteLength || view.getUint8(begin) !== 0xff) return undefined;
  // A marker may be filled up with bytes of 0xff before it.
  const lastFill = Math.min(at + MAX_FILL_BYTES, view.byteLength);
  while (begin < lastFill && view.getUint8(begin) === 0xff) begin += 1;
  if (begin + 3 > view.byteLength) return undefined;
  const marker = view.getUint8(begin);
  // Below stand the escape, and markers without a length, which belong into scans.
  if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xd9)) return undefined;
  const length = view.getUint16(begin + 1);
  const end = begin + 1 + length;
  return length < 2 || end > view.byteLength ? undefined : { marker, begin: begin + 1, end };
}

/** Length (2 bytes), precision, height, width, number of components, and 3 bytes for each. */
function frameSize(view: DataView, { begin, end }: Segment): ImageSize | undefined {
  if (end - begin < 8) return undefined;
  const height = view.getUint16(begin + 3);
  const width = view.getUint16(begin + 5);
  const components = view.getUint8(begin + 7);
  const isWhole = [1, 3, 4].includes(components) && end - begin === 8 + 3 * components;
  return isWhole && width > 0 && height > 0 ? { width, height } : undefined;
}
