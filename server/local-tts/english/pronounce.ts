/** CMUdict: upper-case words to ARPAbet phonemes, a vowel's with its stress: `["HH", "AH0"]`. */
export type Dictionary = { readonly [word: string]: readonly string[] | undefined };

/** Phonemes and marks in the model's spelling, and the stress of each: 0 none, 1 to 3 vowels'. */
export type Pronunciation = {
  readonly symbols: readonly string[];
  readonly tones: readonly number[];
};

/** What words are looked up in, and asked of when they are not there. */
export type PronunciationSource = {
  readonly dictionary: Dictionary;
  /** Guesses an unknown word's phonemes in the model's spelling; up to 20, in milliseconds. */
  predict(word: string): Pronunciation;
};

/** The predictor stops after 20 phonemes, so it is given no more letters at once than this. */
const predictableLetters = 14;
const cachedWords = 4096;
/** A word that the dictionary lacks may be two that it has, if neither is shorter than this. */
const compoundPartLetters = 3;

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

/** A word or a mark of the text, and how it is said. */
export type SpokenToken = Pronunciation & { readonly text: string };

/**
 * Creates the way from written-out text (lower-case words, apostrophes, `,.!?`) to phonemes, token
 * by token.
 *
 * A contraction is looked up as a whole word. That matters: the pack's own way, "don" + "'" + "t",
 * was understood by a recogniser one time in three, "don't" nearly always.
 */
export function createTokenPronouncer(
  source: PronunciationSource,
): (text: string) => readonly SpokenToken[] {
  const guesses = new Map<string, Pronunciation>();
  const guess = (word: string): Pronunciation => {
    const known = guesses.get(word) ?? predictInPieces(source, word);
    if (guesses.size >= cachedWords) guesses.delete(guesses.keys().next().value ?? "");
    guesses.set(word, known);
    return known;
  };
  return (text) => {
    const tokens = text.match(/[a-z']+|[,.!?]/g) ?? [];
    return tokens.map((token) => ({
      text: token,
      ...(pronounceToken(source.dictionary, token) ?? guess(token)),
    }));
  };
}

/** Creates the way from written-out text to the phonemes of all of it, between two boundaries. */
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

/** "webhook": the split whose shorter part is longest. */
function findCompound(dictionary: Dictionary, word: string): readonly string[] | undefined {
  for (let shorter = word.length >> 1; shorter >= compoundPartLetters; shorter--) {
    for (const at of [shorter, word.length - shorter]) {
      const first = dictionary[word.slice(0, at)];
      const second = dictionary[word.slice(at)];
      if (first && second) return [...first, ...second];
    }
  }
  return undefined;
}

/** "js": no vowel, so no word. */
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
  const pieceCount = Math.ceil(letters.length / predictableLetters);
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

/** The model was taught English "v" in upper case: its lower-case one is another language's. */
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
