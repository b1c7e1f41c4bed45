import type { ImageSize } from "./size.ts";

/** The names of chunks as numbers, most significant byte first. */
const LOSSY = 0x56503820;
const LOSSLESS = 0x5650384c;
const EXTENDED = 0x56503858;

const ANIMATION_FLAG = 0x02;
const MAX_OTHER_CHUNKS = 1000;
const FIRST_CHUNK_AT = 12;
const CHUNK_HEAD_BYTES = 8;

/**
 * Reads the size of a still WebP from its header, in each of the format's three forms: VP8 (lossy),
 * VP8L (lossless) and VP8X (extended). Undefined unless the file is as long as it says, and an
 * extended one holds an image of the size that it announces.
 */
export function webpSize(file: Uint8Array): ImageSize | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < FIRST_CHUNK_AT || view.getUint32(4, true) + 8 > file.length) return undefined;
  const first = chunkAt(view, FIRST_CHUNK_AT);
  if (first?.name !== EXTENDED) return first && pixelSize(view, first);
  const canvas = canvasSize(view, first);
  const pixels = firstPixels(view, first.end);
  const size = pixels && pixelSize(view, pixels);
  const isTrue = canvas?.width === size?.width && canvas?.height === size?.height;
  return isTrue ? size : undefined;
}

type Chunk = { readonly name: number; readonly begin: number; readonly end: number };

/** The chunk that begins at `at`, if it is whole; `begin` and `end` are those of its data. */
function chunkAt(view: DataView, at: number): Chunk | undefined {
  const begin = at + CHUNK_HEAD_BYTES;
  if (begin > view.byteLength) return undefined;
  const end = begin + view.getUint32(at + 4, true);
  return end > view.byteLength ? undefined : { name: view.getUint32(at), begin, end };
}

/** The first chunk of pixels; other chunks may stand before it. */
function firstPixels(view: DataView, from: number): Chunk | undefined {
  let chunk = chunkAt(view, from + (from % 2));
  for (let count = 0; chunk && chunk.name !== LOSSY && chunk.name !== LOSSLESS; count++) {
    if (count === MAX_OTHER_CHUNKS) return undefined;
    chunk = chunkAt(view, chunk.end + (chunk.end % 2));
  }
  return chunk;
}

function canvasSize(view: DataView, { begin, end }: Chunk): ImageSize | undefined {
  if (end - begin < 10 || view.getUint8(begin) & ANIMATION_FLAG) return undefined;
  return { width: uint24(view, begin + 4) + 1, height: uint24(view, begin + 7) + 1 };
}

function pixelSize(view: DataView, chunk: Chunk): ImageSize | undefined {
  if (chunk.name === LOSSY) return lossySize(view, chunk);
  return chunk.name === LOSSLESS ? losslessSize(view, chunk) : undefined;
}

function lossySize(view: DataView, { begin, end }: Chunk): ImageSize | undefined {
  if (end - begin < 10 || uint24(view, begin + 3) !== 0x2a019d) return undefined;
  // The two top bits of each are a scaling hint for players.
  const width = view.getUint16(begin + 6, true) & 0x3fff;
  const height = view.getUint16(begin + 8, true) & 0x3fff;
  return width > 0 && height > 0 ? { width, height } : undefined;
}

function losslessSize(view: DataView, { begin, end }: Chunk): ImageSize | undefined {
  if (end - begin < 5 || view.getUint8(begin) !== 0x2f) return undefined;
  const bits = view.getUint32(begin + 1, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}
