import { readFile } from "node:fs/promises";
import { graphemeToPhonemeEN } from "@dittli/tts-en";
import type { Dictionary, Pronunciation, PronunciationSource } from "./pronounce.ts";

const assetBase = new URL("../", import.meta.resolve("@dittli/tts-en/assets/en/metadata.json"));

/** What the package has read, by URL: it keeps its dictionary to itself, and reads it once. */
const fetched = new Map<string, unknown>();

/** What the voice's model says about itself. */
type LexiconMetadata = {
  readonly sample_rate: number;
  readonly language_id: number;
  /** Added to every tone (stress) before it becomes an id. */
  readonly tone_offset: number;
  /** The model's phonemes and marks; a symbol's id is its place. */
  readonly symbols: readonly string[];
};

/** The English voice lexicon: its model, and where words' phonemes come from. */
export type Lexicon = PronunciationSource & {
  readonly metadata: LexiconMetadata;
  /** The ONNX file. */
  readonly model: Uint8Array;
};

/**
 * Reads the voice lexicon from its package. For a process of its own: the package is written for
 * browsers, so `fetch` is made to read files, and its dictionary takes a quarter of a second.
 */
export async function openLexicon(): Promise<Lexicon> {
  globalThis.fetch = fetchFile as typeof fetch;
  const [metadata, model] = await Promise.all([
    readJson<LexiconMetadata>("en/metadata.json"),
    readFile(new URL("en/model.onnx", assetBase)),
    graphemeToPhonemeEN.prepare?.({ assetBase: assetBase.href }),
  ]);
  const dictionary = fetched.get(new URL("en/cmudict.json", assetBase).href);
  const symbolSet = new Set(metadata.symbols);
  return {
    metadata,
    model,
    dictionary: dictionary as Dictionary,
    predict: (word) => predict(word, symbolSet),
  };
}

function predict(word: string, symbolSet: Set<string>): Pronunciation {
  const { phones, tones } = graphemeToPhonemeEN(word, { symbolSet, padStartEnd: false });
  const isKnown = (_: unknown, at: number) => phones[at] !== "UNK";
  return { symbols: phones.filter(isKnown), tones: tones.filter(isKnown) };
}

async function readJson<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(new URL(name, assetBase), "utf8"));
}

/** As much of `fetch` as the package uses. */
async function fetchFile(url: string) {
  const value: unknown = JSON.parse(await readFile(new URL(url), "utf8"));
  fetched.set(url, value);
  return { ok: true, status: 200, json: async () => value };
}
