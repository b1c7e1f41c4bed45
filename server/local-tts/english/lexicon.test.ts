import { describe, expect, it } from "vitest";
import { toLatin } from "../normalize/latin.ts";
import { normalizeText } from "../normalize/normalize.ts";
import { splitClauses } from "./clauses.ts";
import { openLexicon } from "./lexicon.ts";
import { createPronouncer } from "./pronounce.ts";

const lexicon = await openLexicon();
const pronounce = createPronouncer(lexicon);
const known = new Set(lexicon.metadata.symbols);

const tricky = `
  don't can't won't isn't o'clock y'all we're they've I'd it'll who's John's dogs' rock'n'roll 'tis ma'am
  kubernetes nginx PostgreSQL webhook localhost npm JSON YAML GraphQL OAuth2 IPv6 UTF-8 SHA-256 base64 regex
  tokenizer LLM GPT-4o LLaMA ChatGPT Gemini DeepMind PyTorch NumPy JavaScript TypeScript C++ C# F# .NET Node.js
  antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis floccinaucinihilipilification
  supercalifragilisticexpialidocious Llanfairpwllgwyngyll Schwarzenegger Worcestershire Siobhan Nguyen Xiaomi
  zorblatt blorfing quuxly zanthrop mirplots vexadune trobbled xqzt brrr pfft shh hmm mmm psst tsk nth
  naïve café résumé jalapeño Zürich São Łódź Åse Øyvind Dvořák Čapek Þór ß œuvre Ægir ﬁne
  привет Москва 你好 東京 こんにちは 안녕 שלום مرحبا नमस्ते Ελλάδα ไทย ქართული հայ
  0 7 10 11 12 13 19 20 21 99 100 101 110 999 1000 1001 1,234,567 3.14 -5 .5 007 1e9 10^6 ½ 2½ ² ① Ⅷ ٣ №5
  1st 2nd 3rd 4th 11th 12th 13th 21st 100th 1990s '80s 24/7 9/11 50/50 1/3 2:1 5-10 1999-2003
  $3.50 €20 £5 ¥100 ₹50 $5M $1.2B 5¢ -$5 20EUR 100% 99.9% 5‰ 72°F -40°C 5km 60mph 3GB 5GHz 9.8m/s² 5Ω 5µm 6'2"
  2026-11-21 11/21/26 21.11.2026 5:30pm 17:05 12:00:01 9am Mon-Fri Jan.5 Q3 FY26 AD BC
  Dr. Mr. Mrs. Ms. St. e.g. i.e. etc. vs. Inc. Ltd. Ph.D. U.S. U.K. a.m. p.m. No. approx. Jr.
  NASA FBI CIA USA UK EU UN AI ML UI UX API APIs URL URLs HTTP HTML CSS SQL GUI ASCII JPEG WiFi iOS macOS IEEE
  getUserName snake_case SCREAMING_CASE kebab-case PascalCase XMLHttpRequest iPhone15 mp3 H2O CO2 B12 A4 3D 5G x86
  a@b.com https://example.com/a?b=c www.test.org example.co.uk 192.168.0.1 v1.2.3 /usr/bin C:\\Users #tag @user
  & @ # % + = < > ° © ® ™ / \\ | ~ ^ * _ … — – “q” ‘q’ «q» [x] {x} (x) → ≠ ≤ ≥ ± × ÷ √ ∞ ≈ α β π Σ
  **bold** \`code\` ~~gone~~ <b>tag</b> &amp; 😀 👨‍👩‍👧 🇺🇸 A I X OK ok LOL OMG TODO NaN null
`
  .trim()
  .split(/\s+/);

describe("openLexicon", () => {
  it("contains the symbols of every word of its dictionary", () => {
    const phonemes = new Set(Object.values(lexicon.dictionary).flat());
    const words = Object.keys(lexicon.dictionary).length;
    expect(words).toBeGreaterThan(100_000);
    expect(phonemes.size).toBeGreaterThan(60);
    for (const word of Object.keys(lexicon.dictionary).filter((_, at) => at % 50 === 0)) {
      const { symbols } = pronounce(word.toLowerCase());
      for (const symbol of symbols) expect(known, `${symbol} in ${word}`).toContain(symbol);
    }
  });

  it("predicts an unknown word", () => {
    const { symbols, tones } = lexicon.predict("zorblatt");
    expect(symbols.length).toBeGreaterThan(4);
    expect(tones.length).toBe(symbols.length);
  });

  it("can be opened twice", async () => {
    expect((await openLexicon()).dictionary).toBe(lexicon.dictionary);
  });
});

describe("createPronouncer with the lexicon", () => {
  it("yields known symbols for any text, with a tone each", () => {
    expect(tricky.length).toBeGreaterThan(300);
    for (const token of tricky) {
      const { symbols, tones } = pronounce(normalizeText(toLatin(token)));
      expect(tones.length).toBe(symbols.length);
      for (const symbol of symbols) expect(known, `${symbol} of ${token}`).toContain(symbol);
      expect(symbols, token).not.toContain("UNK");
      if (/[a-z0-9]/i.test(token)) expect(symbols.length, token).toBeGreaterThan(2);
    }
  });

  it("keeps clauses short enough for the model", () => {
    const text = tricky.join(" ");
    const lengths = splitClauses(normalizeText(toLatin(text))).map(
      (c) => pronounce(c.text).symbols.length,
    );
    expect(Math.max(...lengths)).toBeLessThan(200);
  });
});
