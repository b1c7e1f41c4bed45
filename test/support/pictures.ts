import { Transformer } from "@napi-rs/image";
import type { ImageType } from "../../server/core/images/image.ts";
import type { Screenshot } from "../../server/models/language-model.ts";

/** Every format that a client may send. */
export const imageTypes = [
  "image/jpeg",
  "image/png",
  "image/webp",
] as const satisfies readonly ImageType[];

/** A picture of a colour gradient, encoded by a real encoder. WebP is lossy. */
export function createPicture(mimeType: ImageType, width = 24, height = 16): Screenshot {
  const pixels = new Uint8Array(width * height * 4);
  for (let at = 0; at < width * height; at++) {
    pixels.set([at % 256, (at >> 4) % 256, 128, 255], 4 * at);
  }
  const image = Transformer.fromRgbaPixels(pixels, width, height);
  return { bytes: encode(image, mimeType), mimeType, width, height };
}

function encode(image: Transformer, mimeType: ImageType): Uint8Array {
  switch (mimeType) {
    case "image/jpeg":
      return image.jpegSync(80);
    case "image/png":
      return image.pngSync();
    case "image/webp":
      return image.webpSync(80);
  }
}

/** A picture of the same pixels as lossless WebP. */
export function createLosslessWebp(width = 24, height = 16): Screenshot {
  const pixels = new Uint8Array(width * height * 4).fill(255);
  const image = Transformer.fromRgbaPixels(pixels, width, height);
  return { bytes: image.webpLosslessSync(), mimeType: "image/webp", width, height };
}

/** The picture as clients send it. */
export function toBase64({ bytes }: Screenshot): string {
  return Buffer.from(bytes).toString("base64");
}
