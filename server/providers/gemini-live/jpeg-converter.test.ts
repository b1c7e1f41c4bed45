import { getEventListeners } from "node:events";
import { Transformer } from "@napi-rs/image";
import { describe, expect, it } from "vitest";
import { createLosslessWebp, createPicture } from "../../../test/support/pictures.ts";
import { readImageHeader } from "../../core/images/image.ts";
import { createJpegConverter } from "./jpeg-converter.ts";

const never = new AbortController().signal;

describe("createJpegConverter", () => {
  it.each([
    ["PNG", createPicture("image/png", 33, 21)],
    ["lossy WebP", createPicture("image/webp", 33, 21)],
    ["lossless WebP", createLosslessWebp(33, 21)],
  ])("converts %s to a JPEG of the same size", async (_, screenshot) => {
    const jpeg = await createJpegConverter()(screenshot, never);
    const expected = { mimeType: "image/jpeg", width: 33, height: 21 };
    expect(jpeg).toMatchObject(expected);
    expect(readImageHeader(jpeg.bytes, "jpeg")).toEqual(expected);
  });

  it("keeps the colours", async () => {
    const pixels = new Uint8Array(64 * 4).fill(255).map((_, at) => [200, 40, 90, 255][at % 4] ?? 0);
    const bytes = Transformer.fromRgbaPixels(pixels, 8, 8).pngSync();
    const png = { bytes, mimeType: "image/png", width: 8, height: 8 } as const;
    const jpeg = await createJpegConverter()(png, never);
    const [red = 0, green = 0, blue = 0] = new Transformer(jpeg.bytes).rawPixelsSync();
    expect(Math.max(Math.abs(red - 200), Math.abs(green - 40), Math.abs(blue - 90))).toBeLessThan(
      6,
    );
  });

  it("returns a JPEG unchanged, and loads nothing", async () => {
    const jpeg = createPicture("image/jpeg");
    const convert = createJpegConverter(() => Promise.reject(new Error("was loaded")));
    expect(await convert(jpeg, never)).toBe(jpeg);
  });

  it("throws when the image cannot be decoded, or the package is missing", async () => {
    const png = createPicture("image/png");
    const bytes = Uint8Array.from(png.bytes);
    bytes.fill(0xff, 45, 60);
    await expect(createJpegConverter()({ ...png, bytes }, never)).rejects.toThrow("Decode image");
    const convert = createJpegConverter(() => Promise.reject(new Error("no such package")));
    await expect(convert(png, never)).rejects.toThrow("no such package");
  });

  it("throws the signal's reason during other conversions, and leaves no listener", async () => {
    const held = Promise.withResolvers<{ Transformer: typeof Transformer }>();
    let loads = 0;
    const convert = createJpegConverter(() => {
      loads += 1;
      return held.promise;
    });
    const png = createPicture("image/png");
    const aborter = new AbortController();
    const others = [convert(png, never), convert(png, never)];
    const waiting = convert(png, aborter.signal);
    aborter.abort(new Error("interrupted"));
    await expect(waiting).rejects.toThrow("interrupted");
    held.resolve({ Transformer });
    expect((await Promise.all(others)).map(({ mimeType }) => mimeType)).toEqual([
      "image/jpeg",
      "image/jpeg",
    ]);
    expect(loads).toBe(2);
    expect(getEventListeners(aborter.signal, "abort")).toHaveLength(0);
  });

  it("converts two at a time", async () => {
    let active = 0;
    let most = 0;
    const convert = createJpegConverter(async () => {
      active += 1;
      most = Math.max(most, active);
      await Promise.resolve();
      active -= 1;
      return { Transformer };
    });
    const png = createPicture("image/png");
    await Promise.all(Array.from({ length: 8 }, () => convert(png, never)));
    expect(most).toBe(2);
  });
});
