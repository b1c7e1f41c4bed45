/** What an SSML document is made of. */
export type SsmlRequest = {
  /** The words, plain. Whatever looks like markup in them is spoken, not obeyed. */
  readonly text: string;
  /** The vendor's name of the voice. */
  readonly voice: string;
  /** A BCP 47 tag: the language of the text. */
  readonly language: string;
  /** How fast, 1 being the voice's own pace; 0.5 to 2. */
  readonly rate?: number;
};

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};
const characters: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/**
 * The text with what XML forbids replaced by spaces, and so of the same length: what an offset into
 * one points at stands at the same offset in the other. A half of a surrogate pair is forbidden too.
 */
export function blankForbidden(text: string): string {
  return text.replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, " ");
}

/** Writes text so that it stands in XML as itself, between tags or in a quoted attribute. */
export function escapeXml(text: string): string {
  return blankForbidden(text).replaceAll(/[&<>"]/g, (mark) => entities[mark] ?? mark);
}

/** Reads back what `escapeXml` wrote, and the numeric references that a vendor may write. */
export function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return characters[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** The document that asks for the text to be spoken. */
export function buildSsml({ text, voice, language, rate = 1 }: SsmlRequest): string {
  const words = escapeXml(text);
  const percent = Math.round((rate - 1) * 100);
  const paced =
    percent === 0
      ? words
      : `<prosody rate="${percent > 0 ? "+" : ""}${percent}%">${words}</prosody>`;
  return (
    `<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="${escapeXml(language)}">` +
    `<voice name="${escapeXml(voice)}">${paced}</voice></speak>`
  );
}
