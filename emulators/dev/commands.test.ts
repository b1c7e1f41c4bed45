import { describe, expect, it } from "vitest";
import { parseCommand, type TierFaults } from "./commands.ts";

const tiers: TierFaults = new Map([
  ["gemini", ["rate-limit", "cut"]],
  ["local", ["refuse"]],
]);
const parse = (line: string) => parseCommand(line, tiers);

describe("parseCommand", () => {
  it("reads a fault, with or without the parts before it", () => {
    const fault = { kind: "cut", afterParts: 0 };
    expect(parse("gemini cut")).toEqual({ type: "fault", tier: "gemini", fault });
    expect(parse("  Gemini  CUT 3 ")).toEqual({
      type: "fault",
      tier: "gemini",
      fault: { ...fault, afterParts: 3 },
    });
  });

  it("reads `ok`", () => {
    expect(parse("local ok")).toEqual({ type: "fault", tier: "local", fault: undefined });
  });

  it("reads delays", () => {
    expect(parse("slow local 400")).toMatchObject({ tier: "local", delays: { firstPartMs: 400 } });
    expect(parse("slow local 400 50")).toMatchObject({ delays: { firstPartMs: 400, partMs: 50 } });
  });

  it.each(["status", "help", "quit"])("reads %s", (word) => {
    expect(parse(`${word.toUpperCase()}\r`)).toEqual({ type: word });
  });

  it.each(["", "   ", "\t"])("ignores an empty line: %j", (line) => {
    expect(parse(line)).toEqual({ type: "nothing" });
  });

  it.each([
    ["gpt ok", 'Unknown command "gpt"'],
    ["gemini", "Missing fault for gemini: ok, rate-limit, cut."],
    ["gemini ok 3", 'Unknown fault "ok" for gemini'],
    ["local cut", 'Unknown fault "cut" for local: ok, refuse.'],
    ["gemini cut many", "at most a number of parts"],
    ["gemini cut -1", "at most a number of parts"],
    ["gemini cut 1 2", "at most a number of parts"],
    ["slow", '"slow" needs a tier: gemini, local.'],
    ["slow down 4", '"slow" needs a tier'],
    ["slow local", '"slow local" needs milliseconds'],
    ["slow local 1 2 3", '"slow local" needs milliseconds'],
    ["slow local soon", '"slow local" needs milliseconds'],
  ])("says what is wrong with %j", (line, message) => {
    expect(parse(line)).toEqual({ type: "unclear", message: expect.stringContaining(message) });
  });
});
