import { InvalidRequest } from "../errors.ts";
import { jpegSize } from "./jpeg.ts";
import { pngSize } from "./png.ts";
import type { ImageSize } from "./size.ts";
import { webpSize } from "./webp.ts";

/** The formats that are read. */
export type ImageType = "image/jpeg" | "image/png" | "image/webp";

/** What an image's header tells. */
export type ImageHeader = ImageSize & { readonly mimeType: ImageType };

/** How a format is known and read, and how large an image of it may be. */
type Format = {
  readonly mimeType: ImageType;
  readonly name: string;
  isBegunBy(file: Uint8Array): boolean;
  /** The size, or undefined if the file is damaged, cut short or not what its header says. */
  readSize(file: Uint8Array): ImageSize | undefined;
  /** Largest width or height. */
  readonly maxSide: number;
  /** Most pixels: what a small file may swell to when it is decoded. */
  readonly maxPixels: number;
};

/** An 8K screen has 33 million pixels. JPEG is passed on as it is; the others may be decoded. */
const formats: readonly Format[] = [
  {
    mimeType: "image/jpeg",
    name: "JPEG",
    isBegunBy: (file) => begins(file, 0, [0xff, 0xd8, 0xff]),
    readSize: jpegSize,
    maxSide: 32_768,
    maxPixels: 64_000_000,
  },
  {
    mimeType: "image/png",
    name: "PNG",
    isBegunBy: (file) => begins(file, 0, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    readSize: pngSize,
    maxSide: 32_768,
    maxPixels: 36_000_000,
  },
  {
    mimeType: "image/webp",
    name: "WebP",
    isBegunBy: (file) =>
      begins(file, 0, [0x52, 0x49, 0x46, 0x46]) && begins(file, 8, [0x57, 0x45, 0x42, 0x50]),
    readSize: webpSize,
    maxSide: 16_383,
    maxPixels: 36_000_000,
  },
];

/**
 * Reads an image's header; the pixels are not decoded. The format is told by the first bytes. Throws
 * `InvalidRequest` for `field` if the file is of no known format, damaged, cut short, animated (WebP),
 * or larger than its format may be.
 */
export function readImageHeader(file: Uint8Array, field: string): ImageHeader {
  const format = formats.find((each) => each.isBegunBy(file));
  if (!format) {
    throw new InvalidRequest(field, "must be a JPEG, PNG or WebP image, by its first bytes");
  }
  const { name, mimeType, maxSide, maxPixels } = format;
  const size = format.readSize(file);
  if (!size) {
    throw new InvalidRequest(
      field,
      `must be a whole, still ${name} image: its header is damaged, or the file is cut short`,
    );
  }
  const { width, height } = size;
  if (Math.max(width, height) > maxSide) {
    throw new InvalidRequest(field, `must be at most ${maxSide} pixels a side as ${name}`);
  }
  if (width * height > maxPixels) {
    throw new InvalidRequest(field, `must be at most ${maxPixels} pixels as ${name}`);
  }
  return { mimeType, width, height };
}

function begins(file: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => file[at + index] === byte);
}
