import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLosslessWebp, createPicture, imageTypes } from "../../../test/support/pictures.ts";
import { InvalidRequest } from "../errors.ts";
import { readImageHeader } from "./image.ts";

const read = (file: Uint8Array) => readImageHeader(file, "screenshot");

/** Whole images of every form, as encoders write them. */
const images = [...imageTypes.map((type) => createPicture(type)), createLosslessWebp()];
const [jpeg, png, lossy, lossless] = images.map(({ bytes }) => bytes) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

/** What is wrong with a file. */
function problemOf(file: Uint8Array): string {
  try {
    read(file);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRequest);
    return (error as Error).message;
  }
  throw new Error("the image was accepted");
}

/** A copy with some bytes put in other's places. */
function patched(file: Uint8Array, at: number, bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(file);
  copy.set(bytes, at);
  return copy;
}

const joined = (...parts: readonly (Uint8Array | readonly number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

/** Where the bytes of the first frame header stand in a JPEG. */
const frameAt = (file: Uint8Array) => Buffer.from(file).indexOf(Buffer.from([0xff, 0xc0]));

/** An extended WebP that announces a canvas and holds the chunks of another file. */
function extended(width: number, height: number, chunks: Uint8Array, flags = 0): Uint8Array {
  const [w, h] = [width - 1, height - 1];
  const canvas = [w & 255, (w >> 8) & 255, w >> 16, h & 255, (h >> 8) & 255, h >> 16];
  const body = joined(Buffer.from("WEBPVP8X"), [10, 0, 0, 0, flags, 0, 0, 0], canvas, chunks);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(body.length);
  return joined(Buffer.from("RIFF"), size, body);
}

const chunksOf = (webp: Uint8Array) => webp.subarray(12);

describe("readImageHeader", () => {
  it.each([...images])("reads format and size of $mimeType", ({ bytes, ...header }) => {
    expect(read(bytes)).toEqual(header);
  });

  it("reads a progressive JPEG, and what stands behind the end", () => {
    expect(read(patched(jpeg, frameAt(jpeg), [0xff, 0xc2]))).toMatchObject({ width: 24 });
    expect(read(joined(jpeg, [1, 2, 3]))).toMatchObject({ width: 24, height: 16 });
    expect(read(joined(png, [1, 2, 3]))).toMatchObject({ width: 24, height: 16 });
  });

  it("reads an extended WebP, and refuses one whose canvas is not its image's size", () => {
    expect(read(extended(24, 16, chunksOf(lossy)))).toMatchObject({ width: 24, height: 16 });
    expect(read(extended(24, 16, chunksOf(lossless)))).toMatchObject({ width: 24, height: 16 });
    expect(problemOf(extended(16, 16, chunksOf(lossy)))).toContain("whole, still WebP");
  });

  it("refuses an animated WebP", () => {
    expect(problemOf(extended(24, 16, chunksOf(lossy), 2))).toContain("still WebP");
  });

  it.each([
    ["GIF", Buffer.from("GIF89a\u0001\u0000\u0001\u0000")],
    ["text", Buffer.from("hello, this is no image at all")],
    ["nothing", new Uint8Array()],
    ["RIFF that is no WebP", Buffer.from("RIFF\u0004\u0000\u0000\u0000WAVEfmt ")],
  ])("refuses %s by its first bytes", (_, file) => {
    expect(problemOf(file)).toBe(
      "screenshot must be a JPEG, PNG or WebP image, by its first bytes",
    );
  });

  it.each(images)("refuses $mimeType that is cut short anywhere", ({ bytes }) => {
    for (let length = 12; length < bytes.length; length++) {
      expect(problemOf(bytes.subarray(0, length))).toMatch(/^screenshot must be a whole, still/);
    }
  });

  it.each<[string, Uint8Array]>([
    ["a JPEG of no height", patched(jpeg, frameAt(jpeg) + 5, [0, 0])],
    ["a JPEG of no width", patched(jpeg, frameAt(jpeg) + 7, [0, 0])],
    [
      "a JPEG with more components than its header has room for",
      patched(jpeg, frameAt(jpeg) + 9, [4]),
    ],
    ["a lossless JPEG", patched(jpeg, frameAt(jpeg), [0xff, 0xc3])],
    [
      "a JPEG of two frames",
      joined(
        jpeg.subarray(0, frameAt(jpeg)),
        jpeg.subarray(frameAt(jpeg), frameAt(jpeg) + 19),
        jpeg.subarray(frameAt(jpeg)),
      ),
    ],
    ["a PNG with another size than its check sum is of", patched(png, 16, [0, 0, 0, 99])],
    ["a PNG without pixels", joined(png.subarray(0, 33), png.subarray(-12))],
    ["a WebP that says it is longer", patched(lossy, 4, [0xff, 0xff])],
    ["a WebP without a start code", patched(lossy, 23, [0, 0, 0])],
    ["a lossless WebP without its mark", patched(lossless, 20, [0])],
  ])("refuses %s", (_, file) => {
    expect(problemOf(file)).toMatch(/^screenshot must be a whole, still (JPEG|PNG|WebP) image/);
  });

  it("refuses more pixels than a format may have, from the header alone", () => {
    const size = (bytes: number[]) => patched(jpeg, frameAt(jpeg) + 5, bytes);
    expect(read(size([0x1f, 0x40, 0x1f, 0x40]))).toMatchObject({ width: 8000, height: 8000 });
    expect(problemOf(size([0x1f, 0x40, 0x1f, 0x41]))).toBe(
      "screenshot must be at most 64000000 pixels as JPEG",
    );
    expect(problemOf(size([0, 1, 0x80, 1]))).toBe(
      "screenshot must be at most 32768 pixels a side as JPEG",
    );
    const bomb = createLosslessWebp(6001, 6000);
    expect(bomb.bytes.length).toBeLessThan(100_000);
    expect(problemOf(bomb.bytes)).toBe("screenshot must be at most 36000000 pixels as WebP");
    expect(problemOf(createPicture("image/png", 32_769, 1).bytes)).toBe(
      "screenshot must be at most 32768 pixels a side as PNG",
    );
  });

  it("throws nothing but InvalidRequest, whatever the bytes", () => {
    const beginnings = images.map(({ bytes }) => bytes.subarray(0, 16));
    const files = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(fc.constantFrom(...beginnings), fc.uint8Array({ maxLength: 200 }))
        .map(([begin, rest]) => joined(begin, rest)),
    );
    fc.assert(
      fc.property(files, (file) => {
        expect(isHeaderOrRefusal(file)).toBe(true);
      }),
    );
  });

  it("throws nothing but InvalidRequest for images with wrong bytes in them", () => {
    const changes = fc.array(fc.tuple(fc.nat({ max: 700 }), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.constantFrom(...images), changes, ({ bytes }, wrong) => {
        const file = Uint8Array.from(bytes);
        for (const [at, byte] of wrong) file[at % file.length] = byte;
        expect(isHeaderOrRefusal(file)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, () => Uint8Array]>([
    ["a JPEG of fill bytes", () => new Uint8Array(eightMebibytes).fill(0xff).fill(0xd8, 1, 2)],
    ["a JPEG of empty segments", () => repeated([0xff, 0xd8], [0xff, 0xe1, 0, 2])],
    [
      "a PNG of empty chunks",
      () => repeated(png.subarray(0, 33), [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]),
    ],
    [
      "a WebP of empty chunks",
      () => repeated(extended(9, 9, new Uint8Array()), [1, 1, 1, 1, 0, 0, 0, 0]),
    ],
  ])("reads through %s of 8 MiB in no time", { retry: 3 }, (_, make) => {
    const file = make();
    const begunMs = performance.now();
    expect(isHeaderOrRefusal(file)).toBe(true);
    expect(performance.now() - begunMs).toBeLessThan(250);
  });
});

const eightMebibytes = 8 * 1024 * 1024;

function repeated(begin: Uint8Array | readonly number[], part: readonly number[]): Uint8Array {
  const file = Buffer.alloc(eightMebibytes, Buffer.from(part));
  file.set(begin, 0);
  file.fill(Buffer.from(part), begin.length);
  return file;
}

function isHeaderOrRefusal(file: Uint8Array): boolean {
  try {
    const { width, height } = read(file);
    return width > 0 && height > 0;
  } catch (error) {
    return error instanceof InvalidRequest;
  }
}
