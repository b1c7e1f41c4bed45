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

  it("reads that a tier is well again", () => {
    expect(parse("local ok")).toEqual({ type: "fault", tier: "local", fault: undefined });
  });

  it("reads delays", () => {
    expect(parse("slow local 400")).toMatchObject({ tier: "local", delays: { firstPartMs: 400 } });
    expect(parse("slow local 400 50")).toMatchObject({ delays: { firstPartMs: 400, partMs: 50 } });
  });

  it.each(["status", "help", "quit"])("knows %s", (word) => {
    expect(parse(`${word.toUpperCase()}\r`)).toEqual({ type: word });
  });

  it.each(["", "   ", "\t"])("takes an empty line for nothing: %j", (line) => {
    expect(parse(line)).toEqual({ type: "nothing" });
  });

  it.each([
    ["gpt ok", 'no command "gpt"'],
    ["gemini", "What is gemini to do? ok, rate-limit, cut."],
    ["gemini ok 3", '"ok" is nothing that gemini can do'],
    ["local cut", '"cut" is nothing that local can do: ok, refuse.'],
    ["gemini cut many", "at most a number of parts"],
    ["gemini cut -1", "at most a number of parts"],
    ["gemini cut 1 2", "at most a number of parts"],
    ["slow", '"slow" wants a tier first: gemini, local.'],
    ["slow down 4", '"slow" wants a tier first'],
    ["slow local", '"slow local" wants milliseconds'],
    ["slow local 1 2 3", '"slow local" wants milliseconds'],
    ["slow local soon", '"slow local" wants milliseconds'],
  ])("says what is wrong with %j", (line, message) => {
    expect(parse(line)).toEqual({ type: "unclear", message: expect.stringContaining(message) });
  });
});
