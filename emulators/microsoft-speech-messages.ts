/** A text message of Microsoft's speech protocol. Header names are in lower case. */
export type Frame = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** Parses a client's text message. Throws if it is malformed: a faulty client must fail its test. */
export function readFrame(data: string): Frame {
  const end = data.indexOf("\r\n\r\n");
  if (end === -1) throw new Error("a message whose headers do not end");
  const lines = data.slice(0, end).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...value] = line.split(":");
      return [name.trim().toLowerCase(), value.join(":").trim()];
    }),
  );
  const path = headers["path"];
  if (path === undefined) throw new Error("a message without a path");
  return { path, headers, body: data.slice(end + 4) };
}

/** Formats a text message of the service. */
export function textFrame(path: string, requestId: string, body: unknown): string {
  const content = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "X-RequestId": requestId, "Content-Type": "application/json; charset=utf-8" };
  return `${headerLines({ ...headers, Path: path })}\r\n${content}`;
}

/** Formats an audio message: the length of the headers in two bytes, the headers, the audio. */
export function audioFrame(
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

/** The content of an SSML document. */
export type SpokenDocument = {
  /** The text, without XML escapes. */
  readonly text: string;
  readonly voice: string;
  readonly language: string;
};

/** A word or mark that the service reports. */
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
 * Parses a document as the service does. Throws for invalid XML: an unknown tag, a bare `&`, a
 * character that XML forbids.
 */
export function readDocument(ssml: string): SpokenDocument {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML forbids.
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}/u.test(ssml))
    throw new Error("a forbidden character");
  if (/&(?!(?:amp|lt|gt|quot|apos);)/.test(ssml)) throw new Error("a bare ampersand");
  const form =
    /^<speak version="1\.0" xmlns="[^"<]+" xml:lang="(?<language>[^"<]+)"><voice name="(?<voice>[^"<]+)">(?<words>[^<>]*)<\/voice><\/speak>$/;
  const groups = form.exec(ssml)?.groups;
  if (!groups) throw new Error("not a document");
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
