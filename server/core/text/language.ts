import { type Script, scriptOf, scriptsOfLanguage } from "./scripts.ts";

/** Tells the language of each sentence of a reply, one after the other. */
export type LanguageTracker = {
  /** A BCP 47 tag; undefined if the language is not known. */
  languageOf(sentence: string): string | undefined;
};

/**
 * Makes a tracker for one reply. `requested` is the reply's language where the client knows it: it holds
 * for every sentence that can be written in it. Otherwise the script tells, or from 20 letters up the
 * detector; shorter or doubtful sentences inherit the language before them.
 */
export function createLanguageTracker(requested?: string): LanguageTracker {
  let previous = requested;
  return {
    languageOf(sentence) {
      const script = scriptOf(sentence);
      const inherited = previous && isWrittenIn(previous, script) ? previous : undefined;
      if (requested !== undefined && inherited === requested) return requested;
      const told = script && languageOfScript(sentence, script, inherited);
      const language = told ?? inherited;
      previous = language ?? previous;
      return language;
    },
  };
}

/** Names of others stand in Latin script in every language. */
function isWrittenIn(tag: string, script: Script | undefined): boolean {
  if (script === undefined || script === "Latn") return true;
  return scriptsOfLanguage(tag).includes(script);
}

/** Scripts of which nearly all text is in one language. */
const onlyLanguages: Partial<Record<Script, string>> = {
  Grek: "el",
  Hebr: "he",
  Armn: "hy",
  Geor: "ka",
  Deva: "hi",
  Beng: "bn",
  Guru: "pa",
  Gujr: "gu",
  Taml: "ta",
  Telu: "te",
  Knda: "kn",
  Mlym: "ml",
  Sinh: "si",
  Thai: "th",
  Laoo: "lo",
  Mymr: "my",
  Khmr: "km",
  Tibt: "bo",
  Ethi: "am",
  Hang: "ko",
  Kana: "ja",
  Hira: "ja",
};

/** Letters that one language alone writes, of those that share a script; the first that is there tells. */
const letters: Partial<Record<Script, readonly (readonly [RegExp, string])[]>> = {
  Cyrl: [
    [/ў/iu, "be"],
    [/[іїєґ]/iu, "uk"],
    [/[ыэё]/iu, "ru"],
    [/[ѓќѕ]/iu, "mk"],
    [/[јљњћђџ]/iu, "sr"],
  ],
  Arab: [
    [/[ٹڈڑںے]/u, "ur"],
    [/[پچژگک]/u, "fa"],
  ],
};

function languageOfScript(
  text: string,
  script: Script,
  inherited: string | undefined,
): string | undefined {
  if (script === "Hani") return /[\p{sc=Hira}\p{sc=Kana}]/u.test(text) ? "ja" : (inherited ?? "zh");
  const only = onlyLanguages[script];
  if (only) return inherited ?? only;
  const told = letters[script]?.find(([letter]) => letter.test(text))?.[1];
  return told ?? detect(text, script, inherited);
}

/** Fewer letters tell too little. */
const FEWEST_LETTERS = 20;
/** The detector's scores go from 0 to 1; most sentences of a language that it knows reach 0.7. */
const LEAST_SCORE = 0.6;
const LEAST_MARGIN = 0.05;
/** Languages of the other scripts are nearer to each other. */
const LEAST_MARGIN_OTHERS = 0.02;
/** A reply stays in its language unless another one fits so much better. */
const LEAST_MARGIN_TO_CHANGE = 0.1;

/** What people write to assistants; the detector takes lists of names for rarer languages. */
const common = [
  "ar",
  "be",
  "bg",
  "ca",
  "cs",
  "da",
  "de",
  "en",
  "es",
  "et",
  "fa",
  "fi",
  "fr",
  "hr",
  "hu",
  "is",
  "it",
  "lt",
  "lv",
  "ms",
  "nl",
  "no",
  "pl",
  "pt",
  "ro",
  "ru",
  "sk",
  "sl",
  "sq",
  "sr",
  "sv",
  "tr",
  "uk",
  "ur",
  "vi",
];

type Detector = (text: string) => Readonly<Record<string, number>>;
let detector: Promise<Detector> | undefined;
let scoresOf: Detector | undefined;

/**
 * Loads the detector, about 30 MB in 0.4 s. Until then languages are told by their script alone. A
 * second call loads nothing.
 */
export async function loadLanguageDetector(): Promise<void> {
  detector ??= import("eld/extrasmall").then(({ eld }) => {
    eld.setLanguageSubset(common);
    return (text) => eld.detect(text).getScores();
  });
  scoresOf = await detector;
}

function detect(text: string, script: Script, inherited: string | undefined): string | undefined {
  const count = text.match(/\p{L}/gu)?.length ?? 0;
  if (count < FEWEST_LETTERS || !scoresOf) return undefined;
  const scores = Object.entries(scoresOf(text))
    .filter(([language]) => scriptsOfLanguage(language).includes(script))
    .sort(([, a], [, b]) => b - a);
  const [[language, score] = ["", 0], [, second] = ["", 0]] = scores;
  const known = inherited && scores.find(([other]) => other === primaryOf(inherited));
  if (score < LEAST_SCORE || language === known?.[0]) return undefined;
  const least = script === "Latn" ? LEAST_MARGIN : LEAST_MARGIN_OTHERS;
  const isPlain = known ? score - known[1] >= LEAST_MARGIN_TO_CHANGE : score - second >= least;
  return isPlain ? language : undefined;
}

/** The first part of a tag, in small letters; one name for Norwegian, and for Tagalog. */
export function primaryOf(tag: string): string {
  const [first = ""] = tag.toLowerCase().split(/[-_]/);
  return aliases[first] ?? first;
}

const aliases: Readonly<Record<string, string>> = {
  nb: "no",
  nn: "no",
  fil: "tl",
  cmn: "zh",
  yue: "zh",
  iw: "he",
  in: "id",
};
