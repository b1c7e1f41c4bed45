/** A message of Microsoft's speech protocol as it came. Header names in lower case. */
export type Frame = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Reads a text message of a client. Throws if it is none: a client that is wrong has to show. */
export function readFrame(data: string): Frame {
  const border = data.indexOf("\r\n\r\n");
  if (border === -1) throw new Error("a message without an end of its headers");
  const lines = data.slice(0, border).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split(":");
      return [name.trim().toLowerCase(), value.join(":").trim()];
    }),
  );
  const path = headers["path"];
  if (path === undefined) throw new Error("a message without a path");
  return { path, headers, body: data.slice(border + 4) };
}

/** A text message of the service. */
export function textFrame(path: string, requestId: string, body: unknown): string {
  const content = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "X-RequestId": requestId, "Content-Type": "application/json; charset=utf-8" };
  return `${headerLines({ ...headers, Path: path })}\r\n${content}`;
}

/** A message with sound: two bytes with the headers' length, the headers, the sound. */
export function soundFrame(
  { requestId, streamId, type }: { requestId: string; streamId: string; type: string },
  sound: Uint8Array,
): Uint8Array {
  const headers = Buffer.from(
    headerLines({
      "X-RequestId": requestId,
      "Content-Type": type,
      "X-StreamId": streamId,
      Path: "audio",
    }),
  );
  const length = Buffer.alloc(2);
  length.writeUInt16BE(headers.length);
  return Buffer.concat([length, headers, sound]);
}

function headerLines(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join("");
}

/** What an SSML document asks for. */
export type SpokenDocument = {
  /** The words, with XML's escapes read back. */
  readonly text: string;
  readonly voice: string;
  readonly language: string;
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
    /^<speak version="1\.0" xmlns="[^"<]+" xml:lang="(?<language>[^"<]+)"><voice name="(?<voice>[^"<]+)">(?<words>[^<>]*)<\/voice><\/speak>$/;
  const groups = form.exec(ssml)?.groups;
  if (!groups) throw new Error("no document");
  const { language = "", voice = "", words = "" } = groups;
  const text = words.replaceAll(/&(\w+);/g, (_, name: string) => marks[name] ?? "");
  return { text, voice, language };
}

/** The words and marks of a text, in order. */
export function boundariesOf(text: string): readonly Boundary[] {
  return Array.from(segmenter.segment(text))
    .filter(({ segment, isWordLike }) => isWordLike || /[.!?,;:]/.test(segment))
    .map(({ segment, isWordLike }) => ({ text: segment, isWord: isWordLike === true }));
}
