import { afterAll, describe, expect, it } from "vitest";
import { field } from "../../../test/support/protobuf.ts";
import { openModelSession } from "./model-session.ts";

const single = 1;
const int64 = 7;
const node = (operation: string, inputs: readonly string[], output: string, more: Buffer[] = []) =>
  field(1, [
    ...inputs.map((name) => field(1, name)),
    field(2, output),
    field(4, operation),
    ...more,
  ]);
const tensor = (name: string, type: number) => [
  field(1, name),
  field(2, [field(1, [field(1, type)])]),
];
const toSingle = field(5, [field(1, "to"), field(3, single), field(20, 2)]);

/** An ONNX model: sum = ids + all of style. */
const model = Buffer.concat([
  field(1, 8),
  field(7, [
    node("Cast", ["ids"], "numbers", [toSingle]),
    node("ReduceSum", ["style"], "styled"),
    node("Add", ["numbers", "styled"], "sum"),
    field(2, "graph"),
    field(11, tensor("ids", int64)),
    field(11, tensor("style", single)),
    field(12, tensor("sum", single)),
  ]),
  field(8, [field(2, 17)]),
]);

const session = await openModelSession(model, { threads: 1, optimization: "all" });
afterAll(() => session.release());

const run = (style: number, output = "sum") =>
  session.run(
    {
      ids: { values: BigInt64Array.of(0n, 7n, 0n), shape: [1, 3] },
      style: { values: Float32Array.of(0, style), shape: [1, 2] },
    },
    output,
  );

describe("openModelSession", () => {
  it("runs a model on integers and floats", async () => {
    expect(await run(0.5)).toEqual(Float32Array.of(0.5, 7.5, 0.5));
  });

  it("refuses an output that is not a number", async () => {
    await expect(run(Number.NaN)).rejects.toThrow("sum is not a number");
  });

  it("refuses an output that the model does not have", async () => {
    await expect(run(0, "sound")).rejects.toThrow("sound");
  });

  it("rejects bytes that are not a model", async () => {
    const bytes = Buffer.from("no model");
    await expect(openModelSession(bytes, { threads: 1, optimization: "basic" })).rejects.toThrow();
  });
});
