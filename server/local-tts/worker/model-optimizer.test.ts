import { describe, expect, it } from "vitest";
import { field } from "../../../test/support/protobuf.ts";
import { optimizeModel } from "./model-optimizer.ts";

const single = 1;
const half = 10;
const tensor = (type: number, raw: Uint8Array) => [
  field(1, raw.length),
  field(2, type),
  field(9, raw),
];
const valueInfo = (name: string, type: number, shape: boolean) => [
  field(1, name),
  field(2, [field(1, [field(1, type), ...(shape ? [field(2, [field(1, [field(1, 3)])])] : [])])]),
];
const node = (...attributes: readonly Buffer[]) => field(1, [field(4, "Op"), ...attributes]);
const attribute = (name: string, value: Buffer) => field(5, [field(1, name), value]);
const model = (...graph: readonly Buffer[]) =>
  Buffer.concat([field(1, 7), field(7, graph), field(2, "tool")]);
const optimize = (bytes: Uint8Array) => Buffer.from(optimizeModel(bytes));

/** What a half's bits mean, by the book. */
function meaningOf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

describe("optimizeModel", () => {
  it("converts every half to the equal single", () => {
    const halves = new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, bits) => bits).buffer);
    const optimized = optimize(model(field(5, tensor(half, halves))));
    const raw = optimized.subarray(optimized.length - 65_536 * 4 - 6, -6);
    const floats = new Float32Array(new Uint8Array(raw).buffer);
    expect(floats.length).toBe(65_536);
    floats.forEach((value, bits) => {
      expect(Object.is(value, meaningOf(bits)), `${bits}`).toBe(true);
    });
    expect(optimize(model(field(5, tensor(half, Uint8Array.of(0, 0x3c)))))).toEqual(
      model(field(5, [field(1, 2), field(2, single), field(9, Uint8Array.of(0, 0, 0x80, 0x3f))])),
    );
  });

  it("converts constants and the types of casts and random tensors, and nothing else", () => {
    const constant = (type: number, raw: Uint8Array) =>
      node(attribute("value", field(5, tensor(type, raw))));
    const made = (type: number) =>
      Buffer.concat([
        node(attribute("to", field(3, type))),
        node(attribute("dtype", field(3, type))),
        node(attribute("axis", field(3, half))),
      ]);
    const widened = node(
      attribute(
        "value",
        field(5, [field(1, 2), field(2, single), field(9, Uint8Array.of(0, 0, 0, 0xc0))]),
      ),
    );
    expect(optimize(model(constant(half, Uint8Array.of(0, 0xc0)), made(half)))).toEqual(
      model(widened, made(single)),
    );
  });

  it("removes the shapes of inputs, outputs and intermediate values", () => {
    const graph = (type: number, shape: boolean) => [
      field(11, valueInfo("in", type, shape)),
      field(12, valueInfo("out", type, shape)),
    ];
    const between = field(13, valueInfo("between", half, true));
    expect(optimize(model(...graph(half, true), between))).toEqual(model(...graph(single, false)));
  });

  it("leaves the rest unchanged", () => {
    const rest = model(
      node(attribute("to", field(3, 7)), attribute("value", field(5, tensor(7, Buffer.alloc(8))))),
      field(5, tensor(single, Buffer.alloc(8))),
      field(2, "graph"),
    );
    expect(optimize(rest)).toEqual(rest);
  });

  it.each([
    ["a length beyond the end", Buffer.from([0x3a, 9, 1])],
    ["a number that is cut off", Buffer.from([0x08, 0x80])],
    ["an unknown wire type", Buffer.from([0x0b])],
    ["halves that are not raw", model(field(5, [field(2, half), field(5, 1)]))],
  ])("refuses %s", (_, bytes) => expect(() => optimizeModel(bytes)).toThrow());
});
