/** Scripts that are told apart, as ISO 15924 names them. Japanese kana and Han are looked at apart. */
const scripts = [
  "Latn",
  "Cyrl",
  "Grek",
  "Arab",
  "Hebr",
  "Armn",
  "Geor",
  "Deva",
  "Beng",
  "Guru",
  "Gujr",
  "Taml",
  "Telu",
  "Knda",
  "Mlym",
  "Sinh",
  "Thai",
  "Laoo",
  "Mymr",
  "Khmr",
  "Tibt",
  "Ethi",
  "Hang",
  "Kana",
  "Hira",
  "Hani",
] as const;

/** A script, as ISO 15924 names it. */
export type Script = (typeof scripts)[number];

const patterns = scripts.map((script) => [script, new RegExp(`\\p{sc=${script}}`, "gu")] as const);

/** The script of most letters of a text; undefined without letters. */
export function scriptOf(text: string): Script | undefined {
  let most: Script | undefined;
  let letters = 0;
  for (const [script, pattern] of patterns) {
    const count = text.match(pattern)?.length ?? 0;
    if (count > letters) [most, letters] = [script, count];
  }
  return most;
}
