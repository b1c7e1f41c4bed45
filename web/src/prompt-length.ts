const utf8 = new TextEncoder();

/** What the gateway takes of a prompt, in bytes of UTF-8. */
export const mostBytes = 64 * 1024;

/** How long a text is, and how long one such as this may be, in characters as people count them. */
export type PromptLength = {
  readonly characters: number;
  /** What fits of this text and more like it. */
  readonly most: number;
  /** How many are too many. */
  readonly over: number;
};

/** Measures a text. `reserved` bytes go to something else. */
export function measure(text: string, reserved = 0): PromptLength {
  const room = mostBytes - reserved;
  const { length: bytes } = utf8.encode(text);
  const characters = countCharacters(text);
  if (bytes <= room) {
    const most = characters === 0 ? room : Math.floor((room * characters) / bytes);
    return { characters, most, over: 0 };
  }
  const most = countCharacters(fitting(text, room));
  return { characters, most, over: characters - most };
}

// A letter with its accents, or an emoji, is one; long texts are counted by code points, which is quicker.
function countCharacters(text: string): number {
  if (text.length > 4096) return Array.from(text).length;
  return Array.from(new Intl.Segmenter().segment(text)).length;
}

/** The longest beginning that has at most so many bytes. */
function fitting(text: string, bytes: number): string {
  const { read } = utf8.encodeInto(text, new Uint8Array(bytes));
  return text.slice(0, read);
}
