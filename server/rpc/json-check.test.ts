import { fromJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StreamRequestSchema } from "../../gen/streaming/streaming_pb.ts";
import { checkJson, decodeLongString } from "./json-check.ts";

const refusal = expect.objectContaining({ code: Code.InvalidArgument });
const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));

/** The text of every long string, decoded. */
async function decodeAll(bytes: Uint8Array): Promise<string[]> {
  return await Promise.all(checkJson(bytes).map((span) => decodeLongString(bytes, span)));
}

describe("checkJson", () => {
  it("passes JSON without long strings as it is", () => {
    const value = fc.jsonValue({ maxDepth: 5 });
    fc.assert(
      fc.property(value, (json) => {
        expect(checkJson(bytesOf(json))).toEqual([]);
      }),
    );
  });

  it("finds long strings of the outermost object", () => {
    const long = "x".repeat(300_000);
    const bytes = bytesOf({ a: "b", screenshot: long, c: { d: 1 } });
    const [span, ...more] = checkJson(bytes);
    expect(more).toEqual([]);
    expect(bytes.subarray(span?.from, (span?.to ?? 0) + 1).toString()).toBe(`"${long}"`);
  });

  it("passes a prompt of 64 KiB of which every character is escaped", () => {
    for (const character of ['"', "\\", "\n"]) {
      const bytes = bytesOf({ prompt: character.repeat(65_536) });
      expect(() => checkJson(bytes)).not.toThrow();
    }
    const escapes = Buffer.from(`{"prompt":"${"\\u0022".repeat(65_536)}"}`);
    expect(() => checkJson(escapes)).not.toThrow();
  });

  it("holds the process for no time that matters with 64 KiB of quotation marks", () => {
    const bytes = bytesOf({ prompt: '"'.repeat(65_536), hardware_id: "d" });
    const tookMs = [1, 2, 3].map(() => {
      const beganMs = performance.now();
      checkJson(bytes);
      fromJsonString(StreamRequestSchema, bytes.toString());
      return performance.now() - beganMs;
    });
    // It took seconds, and a busy machine multiplies what it takes now.
    expect(Math.min(...tookMs)).toBeLessThan(100);
  });

  it.each([
    ["lists", "[]".repeat(20_000)],
    ["nesting", "[".repeat(20_000)],
    ["names", Array.from({ length: 10_000 }, (_, at) => `"k${at}":0`).join()],
    ["quotation marks", `{"a":"${"x".repeat(1_100_000)}${'\\"'.repeat(40_000)}"}`],
    ["strings", '""'.repeat(600_000)],
    ["backslashes", `{"a":"${"\\\\".repeat(5_000_000)}"}`],
    ["white space", " ".repeat(1_100_000)],
    ["text where no field is", `{"a":{"b":"${"x".repeat(1_100_000)}"}}`],
  ])("refuses too much: %s", (_, text) => {
    expect(() => checkJson(Buffer.from(text))).toThrow(refusal);
  });

  it.each([
    ["a string that does not end", Buffer.from('{"prompt":"abc')],
    ["an escaped end", Buffer.from('{"prompt":"abc\\"')],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xc3, 0x28, 0x22])],
  ])("refuses %s", (_, bytes) => {
    expect(() => checkJson(bytes)).toThrow(refusal);
  });
});

describe("decodeLongString", () => {
  it("decodes what was cut anywhere", async () => {
    for (const [index, unit] of ["x", '"', "\\", "\\u0022", "ж", "😀", "a\n😀"].entries()) {
      const text = "y".repeat(index) + unit.repeat(400_000);
      const bytes = bytesOf(text);
      expect(await decodeLongString(bytes, { from: 0, to: bytes.length - 1 })).toBe(text);
    }
  });

  it("decodes escaped pairs and slashes", async () => {
    const bytes = Buffer.from(`{"a":"${"\\ud83d\\ude00\\/".repeat(60_000)}"}`);
    expect(await decodeAll(bytes)).toEqual(["😀/".repeat(60_000)]);
  });

  it("refuses an escape that is none", async () => {
    const bytes = Buffer.from(`{"a":"${"x".repeat(300_000)}\\x"}`);
    await expect(decodeAll(bytes)).rejects.toThrow(refusal);
  });

  it("gives the rest of the process its turn", async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    await decodeAll(bytesOf({ a: "x".repeat(12_000_000) }));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });
});
