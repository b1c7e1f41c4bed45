import { describe, expect, it } from "vitest";
import { Recording } from "./recording.ts";

const filled = (...values: number[]) => Int16Array.from(values);

function recorded(): Recording {
  const recording = new Recording();
  recording.push(filled(1, 2, 3));
  recording.push(filled(4, 5));
  return recording;
}

const joined = (chunks: readonly Int16Array[]) => chunks.flatMap((chunk) => [...chunk]);

describe("Recording", () => {
  it.each([0, 1, 3, 4, 5, 9])(
    "gives all from sample %i on, before and after its end",
    async (from) => {
      const recording = recorded();
      const expected = [1, 2, 3, 4, 5].slice(from);
      expect(joined(recording.from(from))).toEqual(expected);
      expect(joined(await recording.load(from))).toEqual(expected);
      recording.end();
      expect(joined(await recording.load(from))).toEqual(expected);
      expect(recording.samples).toBe(5);
    },
  );

  it("is a WAV file once it has ended: mono, 16 bit, 48 kHz", async () => {
    const recording = recorded();
    expect(recording.file).toBeUndefined();
    recording.end();
    const bytes = new DataView((await recording.file?.arrayBuffer()) ?? new ArrayBuffer(0));
    expect(bytes.byteLength).toBe(54);
    expect(bytes.getUint32(4, true)).toBe(46);
    expect(bytes.getUint16(22, true)).toBe(1);
    expect(bytes.getUint32(24, true)).toBe(48_000);
    expect(bytes.getUint16(34, true)).toBe(16);
    expect(bytes.getUint32(40, true)).toBe(10);
    expect(bytes.getInt16(52, true)).toBe(5);
  });
});
