import { readFile } from "node:fs/promises";
import { graphemeToPhonemeDE } from "@dittli/tts-de";
import type { LexiconMetadata } from "../english/lexicon.ts";
import type { Pronunciation } from "../english/pronounce.ts";

const assetBase = new URL("../", import.meta.resolve("@dittli/tts-de/assets/de/metadata.json"));

/** What the German package contains. */
export type GermanLexicon = {
  readonly metadata: LexiconMetadata;
  /** The ONNX file. */
  readonly model: Uint8Array;
  /** The phonemes of text as `normalizeGerman` returns it. */
  pronounce(text: string): Pronunciation;
};

/** Reads the package. */
export async function openGermanLexicon(): Promise<GermanLexicon> {
  const [json, model] = await Promise.all([
    readFile(new URL("de/metadata.json", assetBase), "utf8"),
    readFile(new URL("de/model.onnx", assetBase)),
  ]);
  const metadata: LexiconMetadata = JSON.parse(json);
  const symbolSet = new Set(metadata.symbols);
  return {
    metadata,
    model,
    pronounce(text) {
      const { phones, tones } = graphemeToPhonemeDE(text, { symbolSet });
      const isKnown = (_: unknown, at: number) => phones[at] !== "UNK";
      return { symbols: phones.filter(isKnown), tones: tones.filter(isKnown) };
    },
  };
}
