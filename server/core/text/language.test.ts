import { beforeAll, describe, expect, it } from "vitest";
import { createLanguageTracker, loadLanguageDetector } from "./language.ts";

beforeAll(loadLanguageDetector);

/** The languages of sentences of one reply. */
const track = (sentences: readonly string[], requested?: string) => {
  const tracker = createLanguageTracker(requested);
  return sentences.map((sentence) => tracker.languageOf(sentence));
};
const languageOf = (sentence: string) => track([sentence])[0];

describe("createLanguageTracker", () => {
  it.each([
    ["en", "Your meeting begins at half past three."],
    ["en", "Dr. Smith lives at 221 Baker Street in London."],
    ["en", "Maria Garcia called you at noon."],
    ["en", "Your flight LH 454 lands at noon."],
    ["en", "No language model is set up here."],
    ["de", "Der Zug fährt um neun Uhr ab."],
    ["de", "Ich konnte kein Restaurant finden."],
    ["fr", "Je n'ai pas trouvé de restaurant."],
    ["it", "Non ho trovato nessun ristorante."],
    ["nl", "Ik kon geen restaurant vinden."],
    ["pl", "Po południu będzie padać deszcz."],
    ["tr", "Bu öğleden sonra yağmur yağacak."],
    ["ru", "Поезд отправляется в девять часов вечера."],
    ["ru", "Я не нашёл ресторанов."],
    ["uk", "Сьогодні вдень буде дощ."],
    ["el", "Καλημέρα"],
    ["he", "שלום"],
    ["hi", "नमस्ते"],
    ["th", "สวัสดี"],
    ["ko", "안녕하세요"],
    ["ja", "今日は良い天気です。"],
    ["zh", "今天天气很好。"],
    ["fa", "قطار ساعت نه حرکت می‌کند."],
    ["ar", "يغادر القطار في الساعة التاسعة."],
  ])("tells %s: %s", (language, sentence) => expect(languageOf(sentence)).toBe(language));

  it("does not guess at short sentences in a script of many languages", () => {
    expect(track(["Ja.", "OK!", "42", "Да."])).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("lets short and doubtful sentences inherit", () => {
    expect(
      track(["Der Zug fährt um neun Uhr ab.", "Ja.", "12:30", "Los Angeles, Berlin."]),
    ).toEqual(["de", "de", "de", "de"]);
    expect(track(["Поезд отправляется в девять часов.", "Да.", "Yes."])).toEqual([
      "ru",
      "ru",
      "ru",
    ]);
  });

  it("changes the language with a sentence that is plainly in another", () => {
    expect(
      track([
        "The train leaves from platform nine.",
        "Das heißt auf Deutsch: Der Zug fährt von Gleis neun ab.",
        "And that is all I know about it.",
      ]),
    ).toEqual(["en", "de", "en"]);
  });

  it("takes the request's language, where the sentence can be in it", () => {
    const sentences = [
      "The train leaves from platform nine.",
      "Ja.",
      "Поезд отправляется в девять.",
    ];
    expect(track(sentences, "de-AT")).toEqual(["de-AT", "de-AT", "ru"]);
    expect(track(["OK Google", "今日は"], "ja-JP")).toEqual(["ja-JP", "ja-JP"]);
  });

  it("ignores a request's language that is none", () => {
    expect(track(["Поезд отправляется, когда вы готовы."], "not a tag")).toEqual(["ru"]);
  });
});
