/** What an SSML document asks for. */
export type SpokenDocument = {
  /** The words, with XML's escapes read back. */
  readonly text: string;
  readonly voice: string;
  readonly language: string;
  /** As it stands in the document: `+20%`. */
  readonly rate: string | undefined;
};

/** A word or mark that the service tells of. */
export type Boundary = { readonly text: string; readonly isWord: boolean };

const marks: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};
const segmenter = new Intl.Segmenter("en", { granularity: "word" });

/**
 * Reads a document as the service does. Throws if it is no XML that the service would take: a tag
 * that it does not know, a bare `&`, a character that XML forbids.
 */
export function readDocument(ssml: string): SpokenDocument {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids.
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}/u.test(ssml)) throw new Error("no character");
  if (/&(?!(?:amp|lt|gt|quot|apos);)/.test(ssml)) throw new Error("a bare ampersand");
  const form =
    /^<speak version="1\.0" xmlns="[^"<]+" xml:lang="(?<language>[^"<]+)"><voice name="(?<voice>[^"<]+)">(?:<prosody rate="(?<rate>[^"<]+)">)?(?<words>[^<>]*)(?:<\/prosody>)?<\/voice><\/speak>$/;
  const groups = form.exec(ssml)?.groups;
  if (!groups) throw new Error("no document");
  const { language = "", voice = "", rate, words = "" } = groups;
  const text = words.replaceAll(/&(\w+);/g, (_, name: string) => marks[name] ?? "");
  return { text, voice, language, rate };
}

/** The words and marks of a text, in order. */
export function boundariesOf(text: string): readonly Boundary[] {
  return Array.from(segmenter.segment(text))
    .filter(({ segment, isWordLike }) => isWordLike || /[.!?,;:]/.test(segment))
    .map(({ segment, isWordLike }) => ({ text: segment, isWord: isWordLike === true }));
}
