import type { Pronunciation } from "../english/pronounce.ts";

/** One clause as the model takes it: ids of phoneme, tone and language for every step. */
export type ModelInput = {
  readonly phonemes: BigInt64Array;
  readonly tones: BigInt64Array;
  readonly languages: BigInt64Array;
};

/** How a model numbers things. */
export type ModelIds = {
  /** A symbol's id is its place. */
  readonly symbols: readonly string[];
  /** Added to every tone. */
  readonly toneOffset: number;
  readonly language: number;
};

/**
 * Creates the way from phonemes to the model's ids. Every phoneme stands between two blanks (all
 * ids 0), which the model stretches as it needs. A symbol that the model lacks is left out.
 */
export function createModelInput(ids: ModelIds): (spoken: Pronunciation) => ModelInput {
  const idOf = new Map(ids.symbols.map((symbol, id) => [symbol, BigInt(id)]));
  return ({ symbols, tones }) => {
    const steps = symbols.flatMap((symbol, at) => {
      const phoneme = idOf.get(symbol);
      return phoneme === undefined
        ? []
        : [{ phoneme, tone: BigInt(ids.toneOffset + (tones[at] ?? 0)) }];
    });
    const spread = (values: readonly bigint[]) => betweenBlanks(values);
    return {
      phonemes: spread(steps.map((step) => step.phoneme)),
      tones: spread(steps.map((step) => step.tone)),
      languages: spread(steps.map(() => BigInt(ids.language))),
    };
  };
}

function betweenBlanks(values: readonly bigint[]): BigInt64Array {
  const spread = new BigInt64Array(values.length * 2 + 1);
  values.forEach((value, at) => {
    spread[at * 2 + 1] = value;
  });
  return spread;
}
