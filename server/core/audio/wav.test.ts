import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesOf } from "./pcm.ts";
import { createWavReader, wavHeader } from "./wav.ts";

type Fields = {
  tag?: number;
  channels?: number;
  rateHz?: number;
  bits?: number;
  frameBytes?: number;
};

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const u16 = (value: number) => [value & 255, (value >> 8) & 255];
const u32 = (value: number) => [...u16(value & 65_535), ...u16(value >>> 16)];

function chunk(name: string, body: number[], length = body.length): number[] {
  return [...ascii(name), ...u32(length), ...body, ...(body.length % 2 ? [0] : [])];
}

function format(fields: Fields): number[] {
  const { tag = 1, channels = 1, rateHz = 24_000, bits = 16 } = fields;
  const frameBytes = fields.frameBytes ?? (channels * bits) / 8;
  return [
    ...[...u16(tag), ...u16(channels), ...u32(rateHz)],
    ...[...u32(rateHz * frameBytes), ...u16(frameBytes), ...u16(bits)],
  ];
}

/** The extensible form: the tag proper stands in the sub-format. */
function extensible(fields: Fields): number[] {
  const guid = [0, 0, 0, 0, 16, 0, 128, 0, 0, 170, 0, 56, 155, 113];
  const rest = [...u16(22), ...u16(fields.bits ?? 16), ...u32(0), ...u16(fields.tag ?? 1), ...guid];
  return [...format({ ...fields, tag: 0xfffe }), ...rest];
}

function riff(...chunks: number[][]): Uint8Array {
  return Uint8Array.from([...ascii("RIFF"), ...u32(0), ...ascii("WAVE"), ...chunks.flat()]);
}

function read(...pieces: Uint8Array[]): { pcm: number[]; sampleRateHz: number | undefined } {
  const reader = createWavReader();
  const pcm = pieces.flatMap((piece) => [...reader.push(piece)]);
  return { pcm, sampleRateHz: reader.sampleRateHz };
}

const floats = (...values: number[]) => [...new Uint8Array(Float32Array.from(values).buffer)];

describe("createWavReader", () => {
  it.each([
    ["16 bits", format({}), [...u16(1), ...u16(-2)], [1, -2]],
    ["8 bits", format({ bits: 8 }), [128, 255, 0, 129], [0, 32_512, -32_768, 256]],
    ["24 bits", format({ bits: 24 }), [0, 1, 0, 255, 255, 255, 0, 0, 128], [1, 0, -32_768]],
    ["32 bits", format({ bits: 32 }), [...u32(0x00050000), ...u32(-65_536)], [5, -1]],
    [
      "floats",
      format({ tag: 3, bits: 32 }),
      floats(0.5, -1, 2, Number.NaN),
      [16_384, -32_768, 32_767, 0],
    ],
    ["stereo", format({ channels: 2 }), [...u16(10), ...u16(20), ...u16(-6), ...u16(0)], [15, -3]],
    ["6 channels", format({ channels: 6 }), [6, 12, 18, 24, 30, 0].flatMap(u16), [15]],
    [
      "stereo floats, one of them none",
      format({ tag: 3, bits: 32, channels: 2 }),
      floats(0.5, Number.NaN),
      [8_192],
    ],
    ["a format of odd length", [...format({}), 0], u16(6), [6]],
    ["a format that goes on", [...extensible({}), ...u32(1), 2], u16(7), [7]],
    ["extensible 16 bits", extensible({}), u16(77), [77]],
    ["extensible floats", extensible({ tag: 3, bits: 32 }), floats(0.25), [8_192]],
  ])("reads %s", (_, body, audio, expected) => {
    const { pcm, sampleRateHz } = read(riff(chunk("fmt ", body), chunk("data", audio)));
    expect(pcm.map((sample) => sample + 0)).toEqual(expected);
    expect(sampleRateHz).toBe(24_000);
  });

  it("clips the sum of channels beyond full scale", () => {
    const body = format({ tag: 3, bits: 32, channels: 2 });
    const audio = floats(3, 3, Number.NEGATIVE_INFINITY, 0);
    expect(read(riff(chunk("fmt ", body), chunk("data", audio))).pcm).toEqual([32_767, -32_768]);
  });

  it("passes over unknown chunks before the audio and whatever comes after it", () => {
    const list = chunk("LIST", [1, 2, 3]);
    const file = riff(list, chunk("fmt ", format({})), list, chunk("data", u16(9)), list);
    expect(read(file).pcm).toEqual([9]);
  });

  it.each([0, 0x7ffff000, 0x7fffffff, 0xffffffdb, 0xffffffff])(
    "reads to the end when the length is %i",
    (length) => {
      const file = riff(chunk("fmt ", format({})), chunk("data", [...u16(3), ...u16(4)], length));
      expect(read(file, Uint8Array.from(u16(5))).pcm).toEqual([3, 4, 5]);
    },
  );

  it("leaves out a last half sample", () =>
    expect(read(riff(chunk("fmt ", format({})), chunk("data", [1, 0, 2], 99))).pcm[0]).toBe(1));

  it("tells the rate as soon as the format is there, and not before", () => {
    const reader = createWavReader();
    const file = riff(chunk("fmt ", format({ rateHz: 22_050 })), chunk("data", u16(1)));
    reader.push(file.subarray(0, 35));
    expect(reader.sampleRateHz).toBeUndefined();
    reader.push(file.subarray(35, 36));
    expect(reader.sampleRateHz).toBe(22_050);
  });

  it("reads the same samples wherever the bytes are cut", () => {
    const shapes = fc.constantFrom<Fields>(
      ...[{}, { bits: 8 }, { bits: 24, channels: 3 }, { bits: 32 }, { channels: 2 }],
    );
    const open = fc.constantFrom(0, 0xffffffff, undefined);
    const bytes = fc.array(fc.nat(255), { maxLength: 80 });
    fc.assert(
      fc.property(
        shapes,
        open,
        bytes,
        fc.infiniteStream(fc.nat(5)),
        (fields, length, audio, sizes) => {
          const formatBody = audio.length % 2 ? extensible(fields) : format(fields);
          const list = chunk("LIST", audio.slice(0, 7));
          const file = riff(list, chunk("fmt ", formatBody), chunk("data", audio, length));
          const pieces: Uint8Array[] = [];
          for (let at = 0; at < file.length; ) {
            const size = sizes.next().value ?? 1;
            pieces.push(file.subarray(at, at + size));
            at += size;
          }
          const whole = read(file);
          expect(read(...pieces)).toEqual(whole);
          expect(read(...[...file].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
        },
      ),
    );
  });

  it.each([
    ["no RIFF", Uint8Array.from(ascii("<!DOCTYPE html>")), /RIFF and WAVE/],
    [
      "another RIFF",
      Uint8Array.from([...ascii("RIFF"), ...u32(0), ...ascii("AVI ")]),
      /RIFF and WAVE/,
    ],
    ["audio before the format", riff(chunk("data", u16(1))), /before the fmt/],
    ["an empty format", riff(chunk("fmt ", [])), /empty/],
    ["a short format", riff(chunk("fmt ", format({}).slice(0, 14))), /too short/],
    ["a short extensible format", riff(chunk("fmt ", format({ tag: 0xfffe }))), /too short/],
    ["a compressed format", riff(chunk("fmt ", format({ tag: 85 }))), /format 85 with 16 bits/],
    ["odd bits", riff(chunk("fmt ", format({ bits: 12, frameBytes: 2 }))), /12 bits/],
    ["no channels", riff(chunk("fmt ", format({ channels: 0 }))), /0 channels/],
    ["no rate", riff(chunk("fmt ", format({ rateHz: 0 }))), /0 samples a second/],
    ["frames of a wrong size", riff(chunk("fmt ", format({ frameBytes: 4 }))), /do not fill 4/],
  ])("says what is wrong with %s", (_, file, message) => {
    expect(() => read(file)).toThrow(message);
  });

  it("answers any bytes with samples or an Error that names WAV", () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(60), (noise, kept) => {
        const good = riff(chunk("fmt ", extensible({})), chunk("data", u16(1)));
        const file = Uint8Array.from([...good.subarray(0, kept), ...noise]);
        try {
          expect(read(file).pcm.length).toBeLessThanOrEqual(file.length);
        } catch (error) {
          expect(String(error)).toMatch(/^Error: WAV: /);
        }
      }),
      { numRuns: 500 },
    ));
});

describe("wavHeader", () => {
  it("writes what the reader reads", () => {
    const pcm = Int16Array.of(1, -2, 3, -4);
    const header = wavHeader({ sampleRateHz: 48_000, channels: 1, dataBytes: pcm.byteLength });
    expect(header).toHaveLength(44);
    expect(read(header, bytesOf(pcm))).toEqual({ pcm: [...pcm], sampleRateHz: 48_000 });
    expect(read(header, bytesOf(pcm), Uint8Array.of(1, 2)).pcm).toHaveLength(4);
  });

  it("writes every field where players look for it", () => {
    const header = wavHeader({ sampleRateHz: 44_100, channels: 2, dataBytes: 400 });
    const expected = [
      ...[...ascii("RIFF"), ...u32(436), ...ascii("WAVEfmt "), ...u32(16), ...u16(1), ...u16(2)],
      ...[...u32(44_100), ...u32(176_400), ...u16(4), ...u16(16), ...ascii("data"), ...u32(400)],
    ];
    expect([...header]).toEqual(expected);
  });

  it("leaves the length open for a stream, as sox does", () => {
    const header = wavHeader({ sampleRateHz: 48_000, channels: 1 });
    expect([...header.subarray(4, 8)]).toEqual(u32(0x7ffff024));
    expect([...header.subarray(40)]).toEqual(u32(0x7ffff000));
    expect(read(header, Uint8Array.from(u16(8))).pcm).toEqual([8]);
  });
});
