import { array, assert, constant, integer, oneof, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { SampleRing } from "./ring.ts";

const steps = array(
  oneof(
    record({ write: integer({ min: 0, max: 40 }) }),
    record({ read: integer({ min: 1, max: 40 }) }),
    constant({ clear: true }),
  ),
);

describe("SampleRing", () => {
  it("gives back what was written, in order, however it wraps and grows", () => {
    assert(
      property(steps, (todo) => {
        const ring = new SampleRing(4);
        let expected: number[] = [];
        let next = 1;
        for (const step of todo) {
          if ("write" in step) {
            const pcm = Int16Array.from({ length: step.write }, () => next++);
            ring.write(pcm);
            expected.push(...pcm);
          } else if ("read" in step) {
            const into = new Float32Array(step.read);
            const count = ring.read(into);
            const taken = expected.splice(0, step.read);
            expect(Array.from(into.subarray(0, count), (value) => value * 32768)).toEqual(taken);
          } else {
            ring.clear();
            expected = [];
          }
          expect(ring.length).toBe(expected.length);
        }
      }),
    );
  });

  it("scales to -1 and just under 1", () => {
    const ring = new SampleRing(2);
    ring.write(Int16Array.of(-32768, 32767));
    const into = new Float32Array(2);
    ring.read(into);
    expect(into[0]).toBe(-1);
    expect(into[1]).toBeCloseTo(1, 4);
  });
});
