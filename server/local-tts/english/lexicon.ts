import { readFile } from "node:fs/promises";
import { graphemeToPhonemeEN } from "@dittli/tts-en";
import type { Dictionary, Pronunciation, PronunciationSource } from "./pronounce.ts";

const assetBase = new URL("../", import.meta.resolve("@dittli/tts-en/assets/en/metadata.json"));

/** Files that the package has read, by URL. It reads its dictionary once and does not export it. */
const fetched = new Map<string, unknown>();

/** Metadata of the voice's model. */
export type LexiconMetadata = {
  readonly sample_rate: number;
  readonly language_id: number;
  /** Added to every tone (stress) before it becomes an id. */
  readonly tone_offset: number;
  /** The model's phonemes and marks; a symbol's id is its index. */
  readonly symbols: readonly string[];
};

/** What the package contains: the pronunciation dictionary, and Dittli's model with its metadata. */
export type Lexicon = PronunciationSource & {
  readonly metadata: LexiconMetadata;
  /** The ONNX file. */
  readonly model: Uint8Array;
};

/**
 * Reads the package. Call it in a worker process only: the package is written for browsers, so
 * `fetch` is replaced by one that reads files, and parsing the dictionary takes 250 ms.
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

/** The part of `fetch` that the package uses. */
async function fetchFile(url: string) {
  const value: unknown = JSON.parse(await readFile(new URL(url), "utf8"));
  fetched.set(url, value);
  return { ok: true, status: 200, json: async () => value };
}
