/** Scripts that are told apart, as ISO 15924 names them. */
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

/** The script of most letters of a text; undefined without letters of any that is known. */
export function scriptOf(text: string): Script | undefined {
  let most: Script | undefined;
  let letters = 0;
  for (const [script, pattern] of patterns) {
    const count = text.match(pattern)?.length ?? 0;
    if (count > letters) [most, letters] = [script, count];
  }
  return most;
}

/** Scripts that ISO 15924 names together. */
const together: Readonly<Record<string, readonly Script[]>> = {
  Hans: ["Hani"],
  Hant: ["Hani"],
  Jpan: ["Hani", "Hira", "Kana"],
  Kore: ["Hang", "Hani"],
};

/** Languages that are written in two. */
const alsoIn: Readonly<Record<string, readonly Script[]>> = { sr: ["Cyrl", "Latn"] };

/** The scripts that a language, as a BCP 47 tag, is written in; none for what is no tag. */
export function scriptsOfLanguage(tag: string): readonly Script[] {
  try {
    const { language, script = "" } = new Intl.Locale(tag).maximize();
    const named = scripts.filter((known) => known === script);
    return alsoIn[language] ?? together[script] ?? named;
  } catch {
    return [];
  }
}
