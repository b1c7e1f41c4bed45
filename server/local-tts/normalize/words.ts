/** Words with a special reading. Capital letters in the reading are spelled. */
const readAs: ReadonlyMap<string, string> = new Map(
  Object.entries({
    json: "jason",
    sql: "sequel",
    gui: "gooey",
    ascii: "askey",
    jpeg: "jay peg",
    mpeg: "em peg",
    yaml: "yammel",
    ieee: "I triple E",
    ok: "okay",
    macos: "mac O S",
    hm: "hum",
    hmm: "hum",
    mm: "um",
    mmm: "um",
    shh: "shush",
  }),
);
/** Spelled in lower case, too. */
const spelled = new Set(
  (
    "api url uri html css http https xml csv pdf png svg npm ssh ssl tls tcp udp dns vpn usb cpu gpu " +
    "llm gpt tts stt grpc ios tv pc phd uk usa dna fbi nyc ceo faq diy asap utc gmt iot ux ipv"
  ).split(" "),
);
/** Words of up to three capitals that are not spelled. */
const shortWords = new Set(
  (
    "THE AND FOR NOT YOU ALL CAN BUT NEW NOW YES WHO WHY HOW ONE TWO SIX TEN OUT GET SEE TRY RUN ADD END TOP " +
    "BIG BAD HOT RED ANY ARE WAS HAS HAD HIS HER OUR ITS MAY LET OFF OLD OWN SAY TOO USE WAY DAY RAM ROM LAN " +
    "WAN PIN SIM GIF DOS ZIP BIN IS TO OF IN ON AT BY OR IF AN AS BE DO GO HE ME MY NO SO UP WE"
  ).split(" "),
);
const romanNumerals: { readonly [numeral: string]: string } = {
  II: "two",
  III: "three",
  IV: "four",
  VI: "six",
  VII: "seven",
  VIII: "eight",
  IX: "nine",
  XI: "eleven",
  XII: "twelve",
  XIII: "thirteen",
  XIV: "fourteen",
  XV: "fifteen",
  XVI: "sixteen",
  XVII: "seventeen",
  XVIII: "eighteen",
  XIX: "nineteen",
  XX: "twenty",
  XXI: "twenty one",
};

/** Normalizes acronyms, and names in camelCase or snake_case. */
export function normalizeWords(text: string): string {
  const words = text.replace(/(?<=[A-Za-z0-9])_+(?=[A-Za-z0-9])/g, " ");
  const isUpperCase = isMostlyCapitals(words);
  return words
    .replace(
      /(?<=\b[A-Z][a-z]+ )(?:X{0,2}(?:IX|IV|V?I{1,3}|V)|XX?)\b/g,
      (all) => romanNumerals[all] ?? all,
    )
    .replace(/[A-Za-z]+(?:'[A-Za-z]+)?/g, (word, at: number) =>
      normalizeWord(word, {
        isUpperCase,
        before: words.slice(Math.max(0, at - 3), at),
        rest: words.slice(at + word.length, at + word.length + 3),
      }),
    );
}

type Place = { readonly isUpperCase: boolean; readonly before: string; readonly rest: string };

function normalizeWord(word: string, place: Place): string {
  if (word === "A") return isLetterA(place) ? "ay" : "a";
  const [, stem = word, suffix = ""] = /^(.+?)('s|s)$/.exec(word) ?? [];
  if (/^[A-Z]{2,}$/.test(stem) && suffix) return normalizeCapitals(stem, place, "'s");
  if (/^[A-Z]{2,}$/.test(word)) return normalizeCapitals(word, place, "");
  const read = readAs.get(word.toLowerCase());
  if (read) return spell(read);
  if (spelled.has(word.toLowerCase())) return spell(lettersOf(word));
  const parts = splitCamel(word);
  if (parts.length > 1) return parts.map((part) => normalizeWord(part, place)).join(" ");
  return word.toLowerCase();
}

function normalizeCapitals(letters: string, place: Place, suffix: string): string {
  const read = readAs.get(letters.toLowerCase());
  if (read) return `${spell(read)}${suffix}`;
  return isWord(letters, place)
    ? `${letters.toLowerCase()}${suffix}`
    : `${spell(lettersOf(letters))}${suffix}`;
}

function isWord(letters: string, { isUpperCase }: Place): boolean {
  if (spelled.has(letters.toLowerCase())) return false;
  return (
    shortWords.has(letters) || ((letters.length > 3 || isUpperCase) && isPronounceable(letters))
  );
}

function lettersOf(word: string): string {
  return Array.from(word.toUpperCase()).join(" ");
}

/** Spells "A" as "ay": alone it would be read as an article. */
function spell(text: string): string {
  return text.replace(/\bA\b/g, "ay").toLowerCase();
}

/** "an A", "plan A.", but not "A dog". */
function isLetterA({ before, rest }: Place): boolean {
  return /an $/i.test(before) || !/^\s+(?![A-Z]\b(?!'))[A-Za-z0-9"'(]/.test(rest);
}

/** "getUserName", "HTTPServer", but not "McDonald". */
function splitCamel(word: string): readonly string[] {
  if (/^(?:Mc|Mac|De|Di|La|Le|Van|O')[A-Z][a-z]+(?:'s)?$/.test(word)) return [word];
  return word.split(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})/);
}

/** True with vowels, and without four consonants in a row. */
function isPronounceable(letters: string): boolean {
  return /[AEIOUY]/.test(letters) && !/[^AEIOUY]{4}|^[^AEIOUY]{3}(?<!^S[CPT][RLH])/.test(letters);
}

/** True if most words are in capitals. */
function isMostlyCapitals(text: string): boolean {
  const words = text.match(/[A-Za-z]{2,}/g) ?? [];
  const capitals = words.filter((word) => word === word.toUpperCase());
  return words.length > 2 && capitals.length >= words.length * 0.75;
}
