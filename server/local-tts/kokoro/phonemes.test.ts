import { describe, expect, it } from "vitest";
import { openLexicon } from "../english/lexicon.ts";
import { createTokenPronouncer } from "../english/pronounce.ts";
import { toIds } from "./engine.ts";
import { toKokoroPhonemes } from "./phonemes.ts";

const lexicon = await openLexicon();
const pronounce = createTokenPronouncer(lexicon);
const phonemesOf = (text: string) => toKokoroPhonemes(pronounce(text));

describe("toKokoroPhonemes", () => {
  it("puts spaces between words, and marks after them", () =>
    expect(phonemesOf("hello, good dog.")).toBe("həlˈO, ɡˈʊd dˈɔɡ."));

  it.each([
    ["say high show now boy.", "sˈA hˈI ʃˈO nˈW bˈY."],
    ["church judge.", "ʧˈɜɹʧ ʤˈʌʤ."],
    ["thing leisure.", "θˈɪŋ lˈɛʒəɹ."],
    ["very yellow.", "vˈɛɹi jˈɛlO."],
    ["international.", "ˌɪntəɹnˈæʃənᵊl."],
  ])("converts %j to the model's notation", (text, phonemes) =>
    expect(phonemesOf(text)).toBe(phonemes),
  );

  it("flaps a t between vowels that does not begin a stressed syllable", () =>
    expect(phonemesOf("water party attack hotel stop.")).toBe("wˈɔTəɹ pˈɑɹTi ətˈæk hOtˈɛl stˈɑp."));

  it("reduces the vowel before a last l or n", () =>
    expect(phonemesOf("little button london about.")).toBe("lˈɪTᵊl bˈʌTᵊn lˈʌndᵊn əbˈWt."));

  it("does not stress function words", () =>
    expect(phonemesOf("he was at home and i am with you.")).toBe(
      "hi wɑz æt hˈOm ænd I æm wɪð ju.",
    ));

  it("reduces articles by the sound after them, and not at the end", () => {
    expect(phonemesOf("the dog, the apple, the hour.")).toBe("ðə dˈɔɡ, ði ˈæpᵊl, ði ˈWəɹ.");
    expect(phonemesOf("a dog to eat to see.")).toBe("ɐ dˈɔɡ tʊ ˈit tə sˈi.");
    expect(phonemesOf("what is it to?")).toBe("wˈʌt ɪz ɪt tu?");
  });

  it("predicts unknown words in symbols of the model", () => {
    const phonemes = phonemesOf("zorblatt.");
    expect(phonemes.length).toBeGreaterThan(6);
    expect(toIds(phonemes).length).toBe(phonemes.length);
  });

  it("returns nothing for an empty text", () => expect(phonemesOf("")).toBe(""));

  it("converts every word of the dictionary to symbols of the model", () => {
    for (const word of Object.keys(lexicon.dictionary).filter((_, at) => at % 20 === 0)) {
      const phonemes = phonemesOf(word.toLowerCase().replace(/[^a-z']/g, ""));
      expect(toIds(phonemes).length, `${word}: ${phonemes}`).toBe(phonemes.length);
    }
  });
});
