import type { Random } from "./random.ts";

/** What a script is written with. A unit is a word, or a grapheme where words have no spaces. */
type Script = {
  readonly name: string;
  /** Between two units. */
  readonly space: string;
  readonly stop: string;
  /** Seconds that an ordinary voice spends on a character. */
  readonly letterSeconds: number;
  /** A unit, or a syllable of one. */
  readonly syllables: readonly string[];
};

const cross = (first: string, second: string) =>
  [...first].flatMap((one) => [...second].map((two) => one + two));

/** Ten scripts: seven with spaces, three without. */
const scripts: readonly [Script, ...Script[]] = [
  {
    name: "Latin",
    space: " ",
    stop: ".",
    letterSeconds: 1 / 15,
    syllables: cross("bdfgklmnprst", "aeiou"),
  },
  {
    name: "Cyrillic",
    space: " ",
    stop: "!",
    letterSeconds: 1 / 15,
    syllables: cross("бвгдклмнпрст", "аеиоу"),
  },
  {
    name: "Greek",
    space: " ",
    stop: ".",
    letterSeconds: 1 / 15,
    syllables: cross("βγδκλμνπρτ", "αεηιο"),
  },
  {
    name: "Hebrew",
    space: " ",
    stop: "?",
    letterSeconds: 0.085,
    syllables: cross("בגדהזחטכלמ", "נסעפצקרשת"),
  },
  {
    name: "Arabic",
    space: " ",
    stop: "؟",
    letterSeconds: 0.085,
    syllables: cross("بتثجحدرسش", "اويلمن"),
  },
  {
    name: "Devanagari",
    space: " ",
    stop: "।",
    letterSeconds: 0.085,
    syllables: cross("कगचजतदपबमरलस", "ािीुे"),
  },
  {
    name: "Hangul",
    space: " ",
    stop: ".",
    letterSeconds: 0.18,
    syllables: [..."가나다라마바사아자차카타파하거너더러머버"],
  },
  {
    name: "Han",
    space: "",
    stop: "。",
    letterSeconds: 0.22,
    syllables: [..."天地人山水火木金土日月星雨雪風雷東西南北春秋左右大小多少"],
  },
  {
    name: "Kana",
    space: "",
    stop: "。",
    letterSeconds: 0.13,
    syllables: [..."あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ"],
  },
  {
    name: "Thai",
    space: "",
    stop: " ",
    letterSeconds: 0.085,
    syllables: cross("กขคงจชดตทนบปพมยรลวสห", "ิี").slice(0, 40),
  },
];

/** A reply whose units all differ, so that each can be told by its sound. */
export type Reply = {
  readonly script: string;
  readonly hasSpaces: boolean;
  readonly text: string;
  readonly units: readonly string[];
  /** Seconds that an ordinary voice spends on a unit. */
  readonly secondsOf: (unit: string) => number;
};

/** Makes a reply of one to four sentences. */
export function makeReply(random: Random): Reply {
  const script = random.pick(scripts);
  const hasSpaces = script.space !== "";
  const units = hasSpaces
    ? makeWords(random, script.syllables, random.between(3, 24))
    : random.shuffle(script.syllables).slice(0, random.between(4, 28));
  let text = "";
  let inSentence = 0;
  for (const [at, unit] of units.entries()) {
    text += (inSentence > 0 ? script.space : "") + unit;
    inSentence += 1;
    const isLast = at === units.length - 1;
    if (isLast || (inSentence >= 3 && random.chance(15))) {
      text += isLast ? script.stop.trim() : `${script.stop}${hasSpaces ? " " : ""}`;
      inSentence = 0;
    }
  }
  const secondsOf = (unit: string) => unit.length * script.letterSeconds + script.space.length / 15;
  return { script: script.name, hasSpaces, text, units, secondsOf };
}

/** Words of two or three syllables, none of which begins another. */
function makeWords(random: Random, syllables: readonly string[], count: number): readonly string[] {
  const words: string[] = [];
  while (words.length < count) {
    const length = random.between(2, 3);
    let word = "";
    for (let at = 0; at < length; at++) word += syllables[random.below(syllables.length)];
    if (!words.some((other) => other.includes(word) || word.includes(other))) words.push(word);
  }
  return words;
}
