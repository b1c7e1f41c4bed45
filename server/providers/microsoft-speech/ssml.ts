/** What an SSML document is built from. */
export type SsmlRequest = {
  /** Plain text. Markup in it is spoken, not interpreted. */
  readonly text: string;
  /** The vendor's name of the voice. */
  readonly voice: string;
  /** The language of the text: a BCP 47 tag. */
  readonly language: string;
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
 * Replaces the characters that XML forbids by spaces, half surrogate pairs included. The length
 * stays the same, so offsets into the result are offsets into the text.
 */
export function blankForbidden(text: string): string {
  return text.replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, " ");
}

/** Escapes text for XML content and quoted attributes. */
export function escapeXml(text: string): string {
  return blankForbidden(text).replaceAll(/[&<>"]/g, (mark) => entities[mark] ?? mark);
}

/** Reverses `escapeXml`, and resolves numeric references. */
export function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return characters[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** Builds the document that asks for the text to be spoken. */
export function buildSsml({ text, voice, language }: SsmlRequest): string {
  return (
    `<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="${escapeXml(language)}">` +
    `<voice name="${escapeXml(voice)}">${escapeXml(text)}</voice></speak>`
  );
}
