import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidRequest } from "../core/errors.ts";
import { parseScreenshot } from "./screenshot-field.ts";

/** The header of a lossy WebP of 16 × 16 pixels, before its data. */
const webp = Buffer.concat([
  Buffer.from("RIFF\x00\x00\x00\x00WEBPVP8 \x00\x00\x00\x00", "latin1"),
  Buffer.from([0x30, 0, 0, 0x9d, 0x01, 0x2a, 16, 0, 16, 0]),
]);

/** A WebP file with `data` behind its header, and the lengths that belong to it. */
function fileOf(data: Uint8Array): Buffer {
  const file = Buffer.concat([webp, data, Buffer.alloc(data.length % 2)]);
  file.writeUInt32LE(file.length - 8, 4);
  file.writeUInt32LE(file.length - 20, 16);
  return file;
}

const data = fc.uint8Array({ maxLength: 64 });

describe("parseScreenshot", () => {
  it("gives back every byte of a picture in base64, with padding or without", () => {
    fc.assert(
      fc.property(data, fc.boolean(), (rest, isPadded) => {
        const file = fileOf(rest);
        const base64 = file.toString("base64");
        const sent = isPadded ? base64 : base64.replace(/=+$/, "");
        expect(parseScreenshot(sent)?.bytes).toEqual(file);
      }),
    );
  });

  it("refuses a picture with any one character that is not base64, or one too many", () => {
    const foreign = fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 });
    const others = foreign.filter((text) => !/^[A-Za-z0-9+/=]$/.test(text));
    fc.assert(
      fc.property(data, fc.nat(), others, (rest, at, wrong) => {
        const base64 = fileOf(rest).toString("base64");
        const place = at % base64.length;
        const broken = base64.slice(0, place) + wrong + base64.slice(place + 1);
        expect(() => parseScreenshot(broken)).toThrow(InvalidRequest);
        const unpadded = base64.replace(/=+$/, "");
        const surplus = "A".repeat((5 - (unpadded.length % 4)) % 4);
        expect(() => parseScreenshot(unpadded + surplus)).toThrow(InvalidRequest);
      }),
    );
  });
});
