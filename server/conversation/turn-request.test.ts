import { describe, expect, it } from "vitest";
import { InvalidRequest } from "../core/errors.ts";
import { parseTurn, parseWelcome, type TurnFields } from "./turn-request.ts";

const good: TurnFields = { prompt: "hi", hardware_id: "d" };
// 1×1 pixel, lossy.
const WEBP = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA";

function refusal(fields: Partial<TurnFields>): InvalidRequest {
  try {
    parseTurn({ ...good, ...fields });
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRequest);
    return error as InvalidRequest;
  }
  throw new Error("the request was accepted");
}

describe("parseTurn", () => {
  it("takes what the native client sends", () => {
    const turn = parseTurn({
      prompt: "What is on my screen?",
      hardware_id: "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
      screenshot: WEBP,
      screen_width: 2560,
      screen_height: 1440,
    });
    expect(turn).toMatchObject({
      deviceId: "3F2504E0-4F89-11D3-9A0C-0305E82C3301",
      verbatim: false,
      prompt: {
        text: "What is on my screen?",
        screenshot: { width: 1, height: 1 },
        screen: { width: 2560, height: 1440 },
      },
    });
  });

  it("takes an empty screenshot, session and screen for none", () => {
    const turn = parseTurn({ ...good, screenshot: "", session_id: "", screen_width: 0 });
    expect(turn.prompt).toEqual({ text: "hi" });
    expect(turn).not.toHaveProperty("sessionId");
  });

  it("refuses a device by the name of unknown, in any case", () => {
    for (const hardware_id of ["unknown", "Unknown", "UNKNOWN", " unknown\u00a0"]) {
      expect(refusal({ hardware_id }).message).toBe('hardware_id must not be "unknown"');
    }
    expect(parseTurn({ ...good, hardware_id: "unknown-1" }).deviceId).toBe("unknown-1");
  });

  it("keeps the session id that a client names", () => {
    expect(parseTurn({ ...good, session_id: "a.B_9:-" }).sessionId).toBe("a.B_9:-");
  });

  it("takes what follows __GREETING__: as words to speak", () => {
    const turn = parseTurn({ ...good, prompt: "__GREETING__:Welcome back." });
    expect(turn).toMatchObject({ verbatim: true, prompt: { text: "Welcome back." } });
    expect(refusal({ prompt: "__GREETING__:  " }).field).toBe("prompt");
  });

  it("takes 64 KiB of prompt, 128 bytes of id and unpadded base64, and no more", () => {
    expect(parseTurn({ ...good, prompt: "é".repeat(32 * 1024) }).verbatim).toBe(false);
    expect(refusal({ prompt: `${"é".repeat(32 * 1024)}!` }).message).toContain("65536 bytes");
    expect(parseTurn({ ...good, hardware_id: "x".repeat(128) }).verbatim).toBe(false);
    expect(refusal({ hardware_id: "x".repeat(129) }).field).toBe("hardware_id");
    expect(parseTurn({ ...good, screenshot: WEBP.replace(/=+$/, "") }).verbatim).toBe(false);
  });

  it.each<[string, Partial<TurnFields>]>([
    ["hardware_id", { hardware_id: "" }],
    ["hardware_id", { hardware_id: "a\u0000b" }],
    ["hardware_id", { hardware_id: "a\nb" }],
    ["prompt", { prompt: "" }],
    ["prompt", { prompt: " \n\t" }],
    ["screenshot", { screenshot: "not base64!" }],
    ["screenshot", { screenshot: WEBP.slice(0, 33) }],
    ["screenshot", { screenshot: Buffer.from("x".repeat(64)).toString("base64") }],
    ["screenshot", { screenshot: "A".repeat(11_184_816) }],
    ["screen_width", { screen_width: -1 }],
    ["screen_height", { screen_height: 32_769 }],
    ["session_id", { session_id: "a b" }],
    ["session_id", { session_id: "é" }],
    ["session_id", { session_id: "x".repeat(129) }],
    ["voice", { voice: "x".repeat(129) }],
  ])("refuses a bad %s and names it: %j", (field, fields) => {
    const error = refusal(fields);
    expect(error.field).toBe(field);
    expect(error.message.startsWith(`${field} `)).toBe(true);
  });
});

describe("parseWelcome", () => {
  it("speaks the text as it stands, in the voice asked for", () => {
    const turn = parseWelcome({ text: "Hi.", voice: "Aria", language: "en-US" });
    expect(turn).toMatchObject({
      verbatim: true,
      prompt: { text: "Hi." },
      voice: { name: "Aria", language: "en-US" },
    });
    expect(turn).not.toHaveProperty("deviceId");
  });

  it("refuses a blank text and a language that is none", () => {
    expect(() => parseWelcome({ text: " " })).toThrow("text is required");
    expect(() => parseWelcome({ text: "Hi.", language: "english please" })).toThrow(
      "language must",
    );
  });
});
