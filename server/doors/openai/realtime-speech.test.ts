import { describe, expect, it } from "vitest";
import { LimitExceeded } from "../../core/errors.ts";
import { createVoiceMemory } from "./realtime-speech.ts";

describe("createVoiceMemory", () => {
  it("has room for so many samples of all sessions, and takes back what one gives up", () => {
    const memory = createVoiceMemory(100);
    const [one, other] = [memory.open(), memory.open()];
    one.keep(60);
    other.keep(40);
    expect(() => other.keep(41)).toThrow(LimitExceeded);
    expect(() => one.keep(61)).toThrow("gateway busy; retry in 2 s");
    one.keep(0);
    other.keep(100);
    other.keep(70);
    expect(() => one.keep(31)).toThrow(LimitExceeded);
    one.keep(30);
  });
});
