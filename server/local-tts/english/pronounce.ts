/** CMUdict: upper-case words to ARPAbet phonemes, vowels with their stress: `["HH", "AH0"]`. */
export type Dictionary = { readonly [word: string]: readonly string[] | undefined };

/** Phonemes and marks in the model's notation, and the tone of each: 0, or a vowel's stress 1 to 3. */
export type Pronunciation = {
  readonly symbols: readonly string[];
  readonly tones: readonly number[];
};

/** A dictionary, and a prediction for words that are not in it. */
export type PronunciationSource = {
  readonly dictionary: Dictionary;
  /** Predicts an unknown word's phonemes in the model's notation, up to 20, within milliseconds. */
  predict(word: string): Pronunciation;
};

/** The predictor stops after 20 phonemes, so it gets no more letters at once. */
const maxPredictLetters = 14;
const cachedWords = 4096;
/** Minimum length of each word of a compound. */
const minCompoundLetters = 3;

const boundary = "_";
const voiceless = new Set(["P", "T", "K", "F", "TH"]);
const sibilants = new Set(["S", "Z", "SH", "CH", "ZH", "JH"]);
const contractions: { readonly [suffix: string]: readonly string[] } = {
  LL: ["AH0", "L"],
  RE: ["ER0"],
  VE: ["AH0", "V"],
  M: ["AH0", "M"],
  T: ["T"],
};

/** A word or mark of the text, and its pronunciation. */
export type PronouncedToken = Pronunciation & { readonly text: string };

/**
 * Creates a function from normalized text (lower-case words, apostrophes, `,.!?`) to phonemes, token
 * by token.
 *
 * A contraction is looked up as a whole word. A speech recogniser understood the package's own
 * "don" + "'" + "t" one time in three, "don't" nearly always.
 */
export function createTokenPronouncer(
  source: PronunciationSource,
): (text: string) => readonly PronouncedToken[] {
  const predictions = new Map<string, Pronunciation>();
  const predict = (word: string): Pronunciation => {
    const known = predictions.get(word) ?? predictInPieces(source, word);
    if (predictions.size >= cachedWords) predictions.delete(predictions.keys().next().value ?? "");
    predictions.set(word, known);
    return known;
  };
  return (text) => {
    const tokens = text.match(/[a-z']+|[,.!?]/g) ?? [];
    return tokens.map((token) => ({
      text: token,
      ...(pronounceToken(source.dictionary, token) ?? predict(token)),
    }));
  };
}

/** Creates a function from normalized text to all its phonemes, between two boundary symbols. */
export function createPronouncer(source: PronunciationSource): (text: string) => Pronunciation {
  const pronounce = createTokenPronouncer(source);
  return (text) => join([mark(boundary), ...pronounce(text), mark(boundary)]);
}

function pronounceToken(dictionary: Dictionary, token: string): Pronunciation | undefined {
  if (/[,.!?]/.test(token)) return mark(token);
  const phonemes = findWord(dictionary, token.toUpperCase());
  return phonemes && fromArpabet(phonemes);
}

function findWord(dictionary: Dictionary, word: string): readonly string[] | undefined {
  const bare = word.replace(/^'+|'+$/g, "");
  if (bare === "") return [];
  return (
    dictionary[word] ??
    dictionary[bare] ??
    findContraction(dictionary, bare) ??
    findInflection(dictionary, bare) ??
    findCompound(dictionary, bare) ??
    spellOut(dictionary, bare)
  );
}

function findContraction(dictionary: Dictionary, word: string): readonly string[] | undefined {
  const [, stem = "", suffix = ""] = /^(.+)'([A-Z]+)$/.exec(word) ?? [];
  const phonemes = findStem(dictionary, stem);
  if (!phonemes) return undefined;
  if (suffix === "S") return withS(phonemes);
  if (suffix === "D") return withD(phonemes);
  const ending = contractions[suffix];
  return ending && [...phonemes, ...ending];
}

function findInflection(dictionary: Dictionary, word: string): readonly string[] | undefined {
  const without = (ending: string, ...restored: readonly string[]) => {
    if (!word.endsWith(ending) || word.length < ending.length + 3) return undefined;
    const stem = word.slice(0, -ending.length);
    return restored.map((letters) => findStem(dictionary, stem + letters)).find((found) => found);
  };
  const singular = without("S", "");
  if (singular) return withS(singular);
  const present = without("ED", "E", "");
  if (present) return withD(present);
  const still = without("ING", "", "E");
  return still && [...still, "IH0", "NG"];
}

function findStem(dictionary: Dictionary, stem: string): readonly string[] | undefined {
  return dictionary[stem] ?? findCompound(dictionary, stem);
}

/** "webhook": the split with the longest shorter part. */
function findCompound(dictionary: Dictionary, word: string): readonly string[] | undefined {
  for (let shorter = word.length >> 1; shorter >= minCompoundLetters; shorter--) {
    for (const at of [shorter, word.length - shorter]) {
      const first = dictionary[word.slice(0, at)];
      const second = dictionary[word.slice(at)];
      if (first && second) return [...first, ...second];
    }
  }
  return undefined;
}

/** "js": without a vowel it is not a word. */
function spellOut(dictionary: Dictionary, word: string): readonly string[] | undefined {
  if (/[AEIOUY]/.test(word)) return undefined;
  return Array.from(word).flatMap((letter) => dictionary[letter] ?? []);
}

function withS(phonemes: readonly string[]): readonly string[] {
  const last = phonemes.at(-1) ?? "";
  if (sibilants.has(last)) return [...phonemes, "IH0", "Z"];
  return [...phonemes, voiceless.has(last) ? "S" : "Z"];
}

function withD(phonemes: readonly string[]): readonly string[] {
  const last = phonemes.at(-1) ?? "";
  if (last === "T" || last === "D") return [...phonemes, "IH0", "D"];
  const isVoiceless = voiceless.has(last) || ["S", "SH", "CH"].includes(last);
  return [...phonemes, isVoiceless ? "T" : "D"];
}

function predictInPieces(source: PronunciationSource, word: string): Pronunciation {
  const letters = word.replaceAll("'", "");
  const pieceCount = Math.ceil(letters.length / maxPredictLetters);
  const pieceLetters = Math.ceil(letters.length / Math.max(pieceCount, 1));
  const pieces: Pronunciation[] = [];
  for (let at = 0; at < letters.length; at += pieceLetters) {
    pieces.push(source.predict(letters.slice(at, at + pieceLetters)));
  }
  return join(pieces);
}

function fromArpabet(phonemes: readonly string[]): Pronunciation {
  return {
    symbols: phonemes.map((phoneme) => symbolOf(phoneme.replace(/\d$/, "").toLowerCase())),
    tones: phonemes.map((phoneme) => (/\d$/.test(phoneme) ? Number(phoneme.at(-1)) + 1 : 0)),
  };
}

/** The model's English "v" is upper case; its lower-case one belongs to another language. */
function symbolOf(phoneme: string): string {
  return phoneme === "v" ? "V" : phoneme;
}

function mark(symbol: string): Pronunciation {
  return { symbols: [symbol], tones: [0] };
}

function join(parts: readonly Pronunciation[]): Pronunciation {
  return {
    symbols: parts.flatMap((part) => part.symbols),
    tones: parts.flatMap((part) => part.tones),
  };
}
