import type { ImageSize } from "./size.ts";

/** The names of chunks as numbers. */
const IHDR = 0x49484452;
const IDAT = 0x49444154;
const IEND = 0x49454e44;

/** Encoders cut the pixels of 8 MiB into 2,000 chunks at most. */
const MAX_CHUNKS = 50_000;
/** Length, name and check sum. */
const CHUNK_FRAME_BYTES = 12;
const SIGNATURE_BYTES = 8;
const HEADER_BYTES = 13;

/** Bits a sample that each colour type may have. */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/**
 * Reads the size of a PNG from its header. Undefined unless the header's check sum and fields are
 * right and whole chunks follow, with pixels among them, to the image's end.
 */
export function pngSize(file: Uint8Array): ImageSize | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const size = headerSize(file, view);
  return size && isWhole(view) ? size : undefined;
}

function headerSize(file: Uint8Array, view: DataView): ImageSize | undefined {
  const dataAt = SIGNATURE_BYTES + 8;
  const sumAt = dataAt + HEADER_BYTES;
  if (file.length < sumAt + 4) return undefined;
  if (view.getUint32(SIGNATURE_BYTES) !== HEADER_BYTES) return undefined;
  if (view.getUint32(SIGNATURE_BYTES + 4) !== IHDR) return undefined;
  if (crc32(file.subarray(SIGNATURE_BYTES + 4, sumAt)) !== view.getUint32(sumAt)) return undefined;
  const width = view.getUint32(dataAt);
  const height = view.getUint32(dataAt + 4);
  const isKnown = depths[view.getUint8(dataAt + 9)]?.includes(view.getUint8(dataAt + 8));
  return isKnown && width > 0 && height > 0 ? { width, height } : undefined;
}

/** The format's check sum, a bit at a time: of 17 bytes that is soon done. */
function crc32(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function isWhole(view: DataView): boolean {
  let hasPixels = false;
  let at = SIGNATURE_BYTES + HEADER_BYTES + CHUNK_FRAME_BYTES;
  for (let count = 0; count < MAX_CHUNKS && at + CHUNK_FRAME_BYTES <= view.byteLength; count++) {
    const end = at + CHUNK_FRAME_BYTES + view.getUint32(at);
    const name = view.getUint32(at + 4);
    if (end > view.byteLength || name === IHDR) return false;
    if (name === IEND) return hasPixels;
    if (name === IDAT) hasPixels = true;
    at = end;
  }
  return false;
}
