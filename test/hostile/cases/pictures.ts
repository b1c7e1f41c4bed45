import type { HostileCase, Title } from "../attack.ts";
import { asking, envelope, field, outcomes, rpc } from "../wire.ts";

const { grpcInvalid } = outcomes;

/** A turn with a picture, over gRPC. */
function picture(
  [name, guard]: Title,
  base64: string,
  expected: RegExp = grpcInvalid,
): HostileCase {
  const body = envelope(Buffer.concat([asking("Look."), field(2, base64)]));
  const headers = { ":path": rpc.stream, "content-type": "application/grpc", te: "trailers" };
  return {
    name: `Picture: ${name}`,
    guard: `picture-${guard}`,
    attack: { kind: "h2", headers, body },
    expected,
  };
}

const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const be32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const be16 = (value: number) => Buffer.from([value >> 8, value]);

/** A PNG's signature and header chunk, with no pixels behind it. */
function png(width: number, height: number, type = "IHDR"): Buffer {
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  const header = Buffer.concat([be32(width), be32(height), Buffer.from([8, 2, 0, 0, 0])]);
  return Buffer.concat([signature, be32(13), Buffer.from(type), header, be32(0)]);
}

/** A JPEG whose frame header says so many pixels. */
function jpeg(width: number, height: number, sof = 0xc0): Buffer {
  const frame = Buffer.concat([
    Buffer.from([0xff, sof]),
    be16(11),
    Buffer.from([8]),
    be16(height),
    be16(width),
    Buffer.from([1, 1, 0x11, 0]),
  ]);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), frame, Buffer.from([0xff, 0xd9])]);
}

/** A WebP in its extended form that says so many pixels. */
function webp(width: number, height: number): Buffer {
  const size = (value: number) => Buffer.from([value - 1, (value - 1) >> 8, (value - 1) >> 16]);
  const chunk = Buffer.concat([
    Buffer.from("VP8X"),
    Buffer.from([10, 0, 0, 0, 0, 0, 0, 0]),
    size(width),
    size(height),
  ]);
  const riff = Buffer.concat([Buffer.from("WEBP"), chunk]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(riff.length);
  return Buffer.concat([Buffer.from("RIFF"), length, riff]);
}

const endlessSegments = Buffer.concat([
  Buffer.from([0xff, 0xd8]),
  Buffer.alloc(400_000, Buffer.from([0xff, 0xe0, 0, 2])),
]);

/** Screenshots that are none, lie, or swell. */
export const pictureCases: readonly HostileCase[] = [
  picture(["no base64", "base64"], "%%%%"),
  picture(["base64 cut inside a group", "base64-cut"], "AAAAA"),
  picture(["base64 of the URL alphabet", "base64-url"], "_-_-"),
  picture(["base64 with line feeds", "base64-lines"], "AAAA\nAAAA"),
  picture(["a data URL", "data-url"], `data:image/png;base64,${b64(png(1, 1))}`),
  picture(["one byte", "one-byte"], b64(Buffer.from([0xff]))),
  picture(["a GIF", "gif"], b64(Buffer.from("GIF89a\x01\x00\x01\x00"))),
  picture(["an SVG", "svg"], b64(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'))),
  picture(["a BMP", "bmp"], b64(Buffer.concat([Buffer.from("BM"), Buffer.alloc(60)]))),
  picture(["an HTML page", "html"], b64(Buffer.from("<script>alert(1)</script>"))),
  picture(["zeros", "zeros"], b64(Buffer.alloc(1000))),
  picture(["over 8 MiB", "bytes"], b64(Buffer.alloc(8 * 1024 * 1024 + 3, png(1, 1)))),
  picture(["a PNG cut in its header", "png-cut"], b64(png(10, 10).subarray(0, 20))),
  picture(["a PNG without a header chunk", "png-order"], b64(png(10, 10, "IDAT"))),
  picture(["a PNG of no width", "png-zero"], b64(png(0, 10))),
  picture(["a PNG of 100,000 × 100,000", "png-huge"], b64(png(100_000, 100_000))),
  picture(["a PNG of 2^31 pixels a side", "png-overflow"], b64(png(0xffffffff, 0xffffffff))),
  picture(["a JPEG of nothing but its start", "jpeg-start"], b64(Buffer.from([0xff, 0xd8]))),
  picture(["a JPEG of no height", "jpeg-zero"], b64(jpeg(10, 0))),
  picture(["a JPEG of 65,535 × 65,535", "jpeg-huge"], b64(jpeg(65_535, 65_535))),
  picture(
    ["a JPEG without a frame", "jpeg-frameless"],
    b64(Buffer.from([0xff, 0xd8, 0xff, 0xda, 0, 2, 0xff, 0xd9])),
  ),
  picture(
    ["a JPEG with a segment longer than the file", "jpeg-overlong"],
    b64(Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff, 0x00])),
  ),
  picture(
    ["a JPEG with a segment of length 0", "jpeg-length-zero"],
    b64(Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0, 0, 0])),
  ),
  picture(["a JPEG of 100,000 segments", "jpeg-segments"], b64(endlessSegments)),
  picture(["a WebP cut", "webp-cut"], b64(webp(10, 10).subarray(0, 18))),
  picture(["a WebP of 16,777,216 pixels a side", "webp-huge"], b64(webp(16_777_216, 16_777_216))),
  picture(
    ["a WebP of an unknown chunk", "webp-chunk"],
    b64(Buffer.concat([Buffer.from("RIFF\x20\x00\x00\x00WEBPEVIL"), Buffer.alloc(20)])),
  ),
  picture(
    ["a RIFF that is a WAV", "webp-wav"],
    b64(Buffer.concat([Buffer.from("RIFF\x20\x00\x00\x00WAVEfmt "), Buffer.alloc(20)])),
  ),
];
