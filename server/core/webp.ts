/** Width and height of a picture in pixels. */
export type PictureSize = { readonly width: number; readonly height: number };

/**
 * Reads the size of a WebP picture from its header (30 bytes at most), in each of the format's
 * three forms: VP8 (lossy), VP8L (lossless) and VP8X (extended). Undefined if it is not WebP.
 */
export function webpSize(file: Uint8Array): PictureSize | undefined {
  if (file.length < 30 || ascii(file, 0, 4) !== "RIFF" || ascii(file, 8, 4) !== "WEBP")
    return undefined;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  switch (ascii(file, 12, 4)) {
    case "VP8 ":
      return lossySize(view);
    case "VP8L":
      return losslessSize(view);
    case "VP8X":
      return { width: uint24(view, 24) + 1, height: uint24(view, 27) + 1 };
    default:
      return undefined;
  }
}

function lossySize(view: DataView): PictureSize | undefined {
  const startCode = uint24(view, 23);
  if (startCode !== 0x2a019d) return undefined;
  // The two top bits of each are a scaling hint for players.
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}

function losslessSize(view: DataView): PictureSize | undefined {
  if (view.getUint8(20) !== 0x2f) return undefined;
  const bits = view.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}

function ascii(file: Uint8Array, from: number, length: number): string {
  return String.fromCharCode(...file.subarray(from, from + length));
}
