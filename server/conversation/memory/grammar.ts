/**
 * What a value must be. `name`: one to three words that can be somebody's name. `one`: the first of
 * several things. `many`: all up to the next clause.
 */
export type ValueKind = "name" | "one" | "many";

type Found = { readonly what: string; readonly value: string };

/** A statement that says something of the user. */
export type Rule = {
  /** Matches a whole clause; its groups are `value`, which is cut and checked, and `what`. */
  readonly pattern: RegExp;
  readonly takes: ValueKind;
  /** What the statement is about. */
  readonly key: (found: Found) => string;
  /** The fact. Absent: what is known of the key no longer holds, where it has the value's words. */
  readonly fact?: (found: Found) => string;
};

/** How people say in one language what is worth remembering. */
export type Grammar = {
  /** Stands before a statement and says nothing. */
  readonly leadIn: RegExp;
  /** Makes a question of a request: "can you". */
  readonly request: RegExp;
  /** Sentences that are not true, or only under a condition. */
  readonly supposes: RegExp;
  /** Between two clauses of a sentence. */
  readonly joint: RegExp;
  readonly remember: RegExp;
  readonly dontRemember: RegExp;
  readonly forget: RegExp;
  readonly forgetAll: RegExp;
  /** Says nothing of what is to be remembered or forgotten: "it". */
  readonly vague: RegExp;
  /** What people call a key: "my name". */
  readonly subjects: readonly (readonly [RegExp, string])[];
  readonly firstPerson: RegExp;
  /** True for a day at most. */
  readonly today: RegExp;
  /** The groups are `from` and `to`. */
  readonly corrections: readonly RegExp[];
  readonly rules: readonly Rule[];
  /** The value without what follows it: "please", the next clause. */
  cut(value: string, kind: ValueKind): string;
  refuses(value: string, kind: ValueKind): boolean;
  note(text: string): string;
  said(text: string): string;
};

/** One line without control characters. */
export function tidy(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
}

/** The words of a text, in lower case. */
export function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

const small =
  /^(?:the|a|an|my|in|at|on|as|to|of|and|for|that|is|в|во|на|как|мой|моя|мою|моё|мое|что|и|о|про)$/;

/** Whether a text has all words that count of another, be they inflected. */
export function contains(text: string, words: string): boolean {
  const all = wordsOf(words);
  const counted = all.filter((word) => !small.test(word));
  const held = wordsOf(text).map(stemOf);
  return (counted.length > 0 ? counted : all).every((word) => held.includes(stemOf(word)));
}

/** A key for a thing, however it is inflected. */
export function stemsOf(text: string): string {
  return wordsOf(text)
    .filter((word) => !small.test(word))
    .map(stemOf)
    .join(" ")
    .slice(0, 100);
}

function stemOf(word: string): string {
  if (/\p{sc=Cyrillic}/u.test(word)) return word.length > 4 ? word.slice(0, -2) : word;
  return word.replace(/(?<=\p{L}{3})(?:es|s)$/u, "");
}

/** A name as it is written: speech recognition gives some in lower case. */
export function asName(name: string): string {
  if (name !== name.toLowerCase()) return name;
  return name.replaceAll(/(?<![\p{L}'])\p{Ll}/gu, (letter) => letter.toUpperCase());
}

/** One to three words of letters. */
export function isNameLike(value: string): boolean {
  return /^\p{L}[\p{L}'-]*(?: \p{L}[\p{L}'-]*){0,2}$/u.test(value) && value.length <= 60;
}
