import { describe, expect, it } from "vitest";
import { chooseVoice } from "./voices.ts";

const aria = "en-US-AriaNeural";

describe("chooseVoice", () => {
  it.each([
    ["the requested voice", { name: "de-DE-KatjaNeural" }, "de-DE-KatjaNeural", "de-DE"],
    ["the requested language", { name: aria, language: "en-GB" }, aria, "en-GB"],
    ["the default for another provider's voice", { name: "kal16" }, aria, "en-US"],
    ["the default for a name with markup", { name: 'en-US-A"><x' }, aria, "en-US"],
    ["the default for nothing", {}, aria, "en-US"],
    ["the default for its own language", { language: "en-AU" }, aria, "en-AU"],
    ["another voice for another language", { language: "ru" }, "ru-RU-SvetlanaNeural", "ru"],
    ["the default for a language without a voice", { language: "tlh" }, aria, "tlh"],
    ["the default for an invalid tag", { language: "<x>" }, aria, "en-US"],
  ])("chooses %s", (_, asked, voice, language) => {
    expect(chooseVoice(asked, aria)).toEqual({ voice, language });
  });

  it("lets a multilingual voice speak every language", () => {
    const voice = "en-US-AvaMultilingualNeural";
    expect(chooseVoice({ language: "ru-RU" }, voice)).toEqual({ voice, language: "ru-RU" });
  });
});
