import type { Voice } from "../../models/synthesizer.ts";

/** A voice of Microsoft's, and the language that it is asked to speak. */
export type ChosenVoice = { readonly voice: string; readonly language: string };

/** One voice for each of the languages that are asked for most; Azure and Edge both have them. */
const voices: Readonly<Record<string, string>> = {
  ar: "ar-SA-ZariyahNeural",
  cs: "cs-CZ-VlastaNeural",
  de: "de-DE-KatjaNeural",
  en: "en-US-AriaNeural",
  es: "es-ES-ElviraNeural",
  fr: "fr-FR-DeniseNeural",
  he: "he-IL-HilaNeural",
  hi: "hi-IN-SwaraNeural",
  it: "it-IT-ElsaNeural",
  ja: "ja-JP-NanamiNeural",
  ko: "ko-KR-SunHiNeural",
  nl: "nl-NL-ColetteNeural",
  pl: "pl-PL-ZofiaNeural",
  pt: "pt-BR-FranciscaNeural",
  ru: "ru-RU-SvetlanaNeural",
  sv: "sv-SE-SofieNeural",
  tr: "tr-TR-EmelNeural",
  uk: "uk-UA-PolinaNeural",
  zh: "zh-CN-XiaoxiaoNeural",
};

/**
 * The voice to ask for: the one that was asked for, if its name is of Microsoft's form; else the
 * default, unless another language was asked for that it does not speak.
 */
export function chooseVoice({ name, language }: Voice, defaultVoice: string): ChosenVoice {
  const asked = isTag(language) ? language : undefined;
  if (name !== undefined && isVoiceName(name)) {
    return { voice: name, language: asked ?? languageOf(name) };
  }
  if (asked === undefined || primary(asked) === primary(defaultVoice)) {
    return { voice: defaultVoice, language: asked ?? languageOf(defaultVoice) };
  }
  const other = /Multilingual/.test(defaultVoice) ? undefined : voices[primary(asked)];
  return { voice: other ?? defaultVoice, language: asked };
}

/** True of names of the form `en-US-AriaNeural`. */
function isVoiceName(name: string): boolean {
  return /^[a-z]{2,3}(?:-[A-Za-z\d]{2,8}){1,3}-[\p{L}\d:]{2,60}$/u.test(name);
}

function isTag(language: string | undefined): language is string {
  return language !== undefined && /^[a-z]{2,3}(?:-[a-z\d]{2,8}){0,3}$/i.test(language);
}

/** `en-US` of `en-US-AriaNeural`. */
function languageOf(voice: string): string {
  return /^[a-z]{2,3}-(?:[A-Z][a-z]{3}-)?[A-Z]{2}/.exec(voice)?.[0] ?? "en-US";
}

function primary(tag: string): string {
  return (tag.split("-")[0] ?? "").toLowerCase();
}
