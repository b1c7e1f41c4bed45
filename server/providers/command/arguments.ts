import type { Voice } from "../../models/synthesizer.ts";

/** A program call. */
export type Call = {
  readonly file: string;
  readonly args: readonly string[];
  /** The text, if it goes to standard input instead of an argument. */
  readonly input: string | undefined;
};

/** The values of the placeholders; undefined if unknown. */
type Values = Readonly<Record<string, string | undefined>>;

const placeholders = /\{(text|voice|language)\}/gu;
const onlyPlaceholder = /^\{(text|voice|language)\}$/u;
const flag = /^--?[^-={}\s][^={}]*$/u;
// Voices come from clients: nothing that a program could read as an option, a path or a list.
const voiceName = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._+()-]{0,99}$/u;
const languageTag = /^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8}){0,5}$/u;

/**
 * Fills the placeholders `{text}`, `{voice}` and `{language}` of `argv`, anywhere in an argument.
 * Without `{text}` the text goes to standard input.
 *
 * An argument with an unknown voice or language is left out, and with it the flag before it if the
 * argument is only the placeholder: "-v", "{voice}". A text that is a whole argument and begins with
 * "-" gets a space before it, so that it is not read as an option.
 */
export function createCall(argv: readonly string[], text: string, voice: Voice): Call {
  const [file = "", ...templates] = argv;
  const values: Values = {
    // An argument cannot contain NUL.
    text: text.replaceAll("\0", " "),
    voice: matching(voice.name, voiceName),
    language: matching(voice.language, languageTag),
  };
  const wanted = templates.filter((template, index) => {
    const following = templates[index + 1] ?? "";
    const belongsTogether = flag.test(template) && onlyPlaceholder.test(following);
    return isKnown(belongsTogether ? following : template, values);
  });
  const input = templates.some((template) => template.includes("{text}")) ? undefined : text;
  return { file, args: wanted.map((template) => fill(template, values)), input };
}

function isKnown(template: string, values: Values): boolean {
  return [...template.matchAll(placeholders)].every(([, name = ""]) => values[name] !== undefined);
}

function fill(template: string, values: Values): string {
  const filled = template.replace(placeholders, (_, name: string) => values[name] ?? "");
  return onlyPlaceholder.test(template) && filled.startsWith("-") ? ` ${filled}` : filled;
}

function matching(value: string | undefined, pattern: RegExp): string | undefined {
  return value !== undefined && pattern.test(value) ? value : undefined;
}
