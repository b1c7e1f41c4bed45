import { describe, expect, it } from "vitest";
import type { Synthesizer } from "../models/synthesizer.ts";
import { recordOf } from "./voice-record.ts";

const voice = (): Synthesizer => ({ name: "v", async *synthesize() {} });

describe("recordOf", () => {
  it("takes a voice that fails twice in a language it never spoke for one that does not speak it", () => {
    const record = recordOf(voice());
    record.noteUnspoken("ru");
    expect(record.speaks("ru")).toBe(true);
    record.noteUnspoken("ru");
    expect([record.speaks("ru"), record.speaks("en")]).toEqual([false, true]);
  });

  it("never switches off a language that the voice has spoken, however odd the texts", () => {
    const record = recordOf(voice());
    record.noteSpoken("en", "Yes.", 0.4);
    for (let count = 0; count < 10; count++) record.noteUnspoken("en");
    expect(record.speaks("en")).toBe(true);
  });
});
