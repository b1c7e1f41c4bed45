import { describe, expect, it } from "vitest";
import { createCall } from "./arguments.ts";

const args = (argv: string[], text: string, voice = {}) =>
  createCall(["say", ...argv], text, voice).args;

describe("createCall", () => {
  it("sends the text to standard input if no argument has it", () =>
    expect(createCall(["piper", "--raw"], "-Hi\0", {})).toEqual({
      file: "piper",
      args: ["--raw"],
      input: "-Hi\0",
    }));

  it("fills every placeholder and sends no input", () =>
    expect(
      createCall(["say", "-v{voice}", "--l={language}", "<{text}|{text}>"], "Hi", {
        name: "en-us+f3",
        language: "en-US",
      }),
    ).toEqual({ file: "say", args: ["-ven-us+f3", "--l=en-US", "<Hi|Hi>"], input: undefined }));

  it("does not fill placeholders in a value", () =>
    expect(args(["{text}"], "{voice} $& {text}", { name: "x" })).toEqual(["{voice} $& {text}"]));

  it("prevents a text from being read as an option", () => {
    expect(args(["{text}"], "-w /etc/passwd")).toEqual([" -w /etc/passwd"]);
    expect(args(["--text={text}"], "-w")).toEqual(["--text=-w"]);
  });

  it("replaces NUL in arguments", () => expect(args(["{text}"], "a\0b")).toEqual(["a b"]));

  it.each([
    [["-v", "{voice}", "{text}"], ["Hi"]],
    [["--voice={voice}", "{text}"], ["Hi"]],
    [
      ["--stdout", "x", "{voice}", "{text}"],
      ["--stdout", "x", "Hi"],
    ],
    [
      ["--rate=5", "{voice}", "{text}"],
      ["--rate=5", "Hi"],
    ],
    [
      ["--", "{voice}", "{text}"],
      ["--", "Hi"],
    ],
    [["-v", "{voice}", "-l", "{language}", "{text}"], ["Hi"]],
  ])("leaves %j out where the voice is not known", (argv, expected) =>
    expect(args(argv, "Hi")).toEqual(expected),
  );

  it.each(["-w", "../../etc/passwd", "/etc/passwd", "a,b", "", "a\nb", "x".repeat(101), "--a=b"])(
    "takes the voice %j for unknown",
    (name) => expect(args(["-v", "{voice}", "{text}"], "Hi", { name })).toEqual(["Hi"]),
  );

  it.each(["-w", "en_US", "e n", "", "../x"])("treats the language %j as unknown", (language) =>
    expect(args(["-l", "{language}", "{text}"], "Hi", { language })).toEqual(["Hi"]),
  );
});
