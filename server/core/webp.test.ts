import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { webpSize } from "./webp.ts";

function webp(form: string, at20: readonly number[]): Uint8Array {
  const file = new Uint8Array(32);
  file.set(Buffer.from("RIFF....WEBP"), 0);
  file.set(Buffer.from(form), 12);
  file.set(at20, 20);
  return file;
}

describe("webpSize", () => {
  it("reads a lossy picture, leaving the scaling bits out", () => {
    const frame = [0x30, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0xe0, 0x01];
    expect(webpSize(webp("VP8 ", frame))).toEqual({ width: 640, height: 480 });
  });

  it("reads a lossless picture", () => {
    const bits = (640 - 1) | ((480 - 1) << 14);
    const bytes = [0x2f, bits & 255, (bits >> 8) & 255, (bits >> 16) & 255, bits >>> 24];
    expect(webpSize(webp("VP8L", bytes))).toEqual({ width: 640, height: 480 });
  });

  it("reads an extended picture", () => {
    const canvas = [0, 0, 0, 0, 0x7f, 0x07, 0x00, 0x37, 0x04, 0x00];
    expect(webpSize(webp("VP8X", canvas))).toEqual({ width: 1920, height: 1080 });
  });

  it("gives undefined for anything else, and never throws", () => {
    expect(webpSize(webp("ALPH", []))).toBeUndefined();
    expect(webpSize(webp("VP8 ", []))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array(), (bytes) => webpSize(bytes) === undefined));
  });
});
