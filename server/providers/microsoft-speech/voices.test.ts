import { describe, expect, it } from "vitest";
import { chooseVoice } from "./voices.ts";

const aria = "en-US-AriaNeural";

describe("chooseVoice", () => {
  it.each([
    ["the voice that is asked for", { name: "de-DE-KatjaNeural" }, "de-DE-KatjaNeural", "de-DE"],
    ["its language as asked", { name: aria, language: "en-GB" }, aria, "en-GB"],
    ["the default for a name of another provider", { name: "kal16" }, aria, "en-US"],
    ["the default for a name with markup", { name: 'en-US-A"><x' }, aria, "en-US"],
    ["the default for nothing", {}, aria, "en-US"],
    ["the default for its own language", { language: "en-AU" }, aria, "en-AU"],
    ["another voice for another language", { language: "ru" }, "ru-RU-SvetlanaNeural", "ru"],
    ["the default for a language without a voice", { language: "tlh" }, aria, "tlh"],
    ["the default for what is no language", { language: "<x>" }, aria, "en-US"],
  ])("chooses %s", (_, asked, voice, language) => {
    expect(chooseVoice(asked, aria)).toEqual({ voice, language });
  });

  it("lets a voice of many languages speak them all", () => {
    const voice = "en-US-AvaMultilingualNeural";
    expect(chooseVoice({ language: "ru-RU" }, voice)).toEqual({ voice, language: "ru-RU" });
  });
});
