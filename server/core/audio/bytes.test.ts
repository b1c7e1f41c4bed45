import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesOf, createAligner, samplesOf } from "./bytes.ts";

describe("bytesOf", () => {
  it("writes each sample little-endian", () =>
    expect([...bytesOf(Int16Array.of(1, -2, 0x1234))]).toEqual([1, 0, 254, 255, 0x34, 0x12]));

  it("covers a view's own samples only", () =>
    expect([...bytesOf(Int16Array.of(1, 2, 3).subarray(1, 2))]).toEqual([2, 0]));
});

describe("samplesOf", () => {
  it("reads what bytesOf wrote, from any offset", () =>
    fc.assert(
      fc.property(fc.int16Array(), fc.nat(3), (pcm, offset) => {
        const bytes = new Uint8Array(offset + pcm.byteLength);
        bytes.set(bytesOf(pcm), offset);
        expect([...samplesOf(bytes.subarray(offset))]).toEqual([...pcm]);
      }),
    ));

  it("copies nothing at an even offset", () => {
    const bytes = new Uint8Array([9, 9, 1, 0]);
    expect(samplesOf(bytes.subarray(2)).buffer).toBe(bytes.buffer);
  });

  it("leaves out a last odd byte", () =>
    expect([...samplesOf(Uint8Array.of(5, 0, 7))]).toEqual([5]));
});

describe("createAligner", () => {
  it("lets whole units go as soon as they are there", () => {
    const align = createAligner(3);
    expect([...align(Uint8Array.of(1, 2))]).toEqual([]);
    expect([...align(Uint8Array.of(3, 4, 5, 6, 7))]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...align(Uint8Array.of(8, 9))]).toEqual([7, 8, 9]);
  });

  it("does not see later changes of the bytes that it was given", () => {
    const align = createAligner(2);
    const bytes = Uint8Array.of(1);
    align(bytes);
    bytes[0] = 99;
    expect([...align(Uint8Array.of(2))]).toEqual([1, 2]);
  });
});
