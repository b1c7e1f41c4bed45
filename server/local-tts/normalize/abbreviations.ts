import { applyRules, type Rule, stopAtEnd } from "./rule.ts";

/** Abbreviations that are written with a dot. */
const abbreviations: { readonly [short: string]: string } = {
  mr: "mister",
  mrs: "missus",
  ms: "miz",
  prof: "professor",
  rev: "reverend",
  hon: "honorable",
  gov: "governor",
  sen: "senator",
  rep: "representative",
  gen: "general",
  lt: "lieutenant",
  col: "colonel",
  capt: "captain",
  sgt: "sergeant",
  jr: "junior",
  sr: "senior",
  vs: "versus",
  etc: "et cetera",
  approx: "approximately",
  dept: "department",
  est: "established",
  inc: "incorporated",
  ltd: "limited",
  corp: "corporation",
  ave: "avenue",
  blvd: "boulevard",
  rd: "road",
  apt: "apartment",
  mt: "mount",
  vol: "volume",
  fig: "figure",
  eq: "equation",
  sec: "section",
  ch: "chapter",
  pp: "pages",
  ed: "edition",
  tel: "telephone",
  ext: "extension",
  max: "maximum",
  min: "minimum",
  avg: "average",
  misc: "miscellaneous",
  ca: "circa",
  cf: "compare",
  al: "al",
  viz: "namely",
  seq: "sequence",
  govt: "government",
  intl: "international",
};
const short = Object.keys(abbreviations).join("|");

const rules: readonly Rule[] = [
  [/\be\.\s?g\.,?/gi, () => " for example, "],
  [/\bi\.\s?e\.,?/gi, () => " that is, "],
  [/\bPh\.?D\b\.?/g, ([all], rest) => ` P H D${all?.endsWith(".") ? stopAtEnd(rest ?? "") : ""}`],
  [/\be-mail/gi, () => "email"],
  [/\bWi-?Fi\b/gi, () => "why fi"],
  [/\bw\/o\b/gi, () => "without"],
  [/\bw\/(?=\s?\w)/gi, () => "with "],
  [/\band\/or\b/gi, () => "and or"],
  [/\bDr\.(?=\s+[A-Z])/g, () => "doctor"],
  [/\bDr\./g, (_, rest) => `drive${stopAtEnd(rest ?? "")}`],
  [/\bSt\.(?=\s+[A-Z])/g, () => "saint"],
  [/\bSt\./g, (_, rest) => `street${stopAtEnd(rest ?? "")}`],
  [/\bNos?\.\s?(?=\d)/gi, () => "number "],
  [/№\s?/g, () => "number "],
  [/§\s?/g, () => "section "],
  [/\bp\.\s?(?=\d)/g, () => "page "],
  [/\bCo\.(?=\W|$)/g, (_, rest) => `company${stopAtEnd(rest ?? "")}`],
  [
    new RegExp(String.raw`\b(${short})\.`, "gi"),
    ([, word], rest) => abbreviate(word ?? "", rest ?? ""),
  ],
  [
    /\b(?:[A-Za-z]\.){2,}(?![a-z])/g,
    ([letters], rest) =>
      ` ${letters?.toUpperCase().replaceAll(".", " ").trim()}${stopAtEnd(rest ?? "")} `,
  ],
  [/\b([A-Z])\.(?=\s?[A-Z])/g, ([, initial]) => `${initial} `],
];

/** Abbreviations that are also words: a dot after them may end a sentence. */
const plainWords = /^(?:al|ch|col|ed|ext|fig|gen|max|min|rep|sec|seq|misc|est|cal)$/i;

function abbreviate(word: string, rest: string): string {
  const full = abbreviations[word.toLowerCase()] ?? word;
  const stop = stopAtEnd(rest);
  if (stop && plainWords.test(word)) return `${word}.`;
  return `${full}${stop}`;
}

/** Expands abbreviations that end in a dot. */
export function normalizeAbbreviations(text: string): string {
  return applyRules(text, rules);
}
