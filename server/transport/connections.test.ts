import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { protocolOf } from "./connections.ts";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

describe("protocolOf", () => {
  it("tells HTTP/2 by the whole preface, whatever follows it", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (rest) => {
        expect(protocolOf(Buffer.concat([preface, rest]))).toBe("h2");
      }),
    );
  });

  it("does not tell while the bytes may still become a preface", () => {
    for (let length = 0; length < preface.length; length++) {
      expect(protocolOf(preface.subarray(0, length))).toBeUndefined();
    }
  });

  it("tells HTTP/1.1 by the first byte that differs from the preface", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: preface.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, by) => {
          const bytes = Buffer.from(preface.subarray(0, at + 1));
          bytes[at] = (preface[at] ?? 0) ^ by;
          expect(protocolOf(bytes)).toBe("http1");
        },
      ),
    );
  });

  it.each(["GET / HTTP/1.1", "POST / HTTP/1.1", "PROPFIND / HTTP/1.1", "\x16\x03\x01"])(
    "takes %j for HTTP/1.1",
    (bytes) => {
      expect(protocolOf(Buffer.from(bytes, "latin1"))).toBe("http1");
    },
  );
});
