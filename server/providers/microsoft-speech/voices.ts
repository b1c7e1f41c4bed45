import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart, Voice } from "../../models/synthesizer.ts";

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

/** Knows which voices a service does not have, as far as it was asked for them. */
export type KnownVoices = {
  /**
   * Speaks with the voice that is asked for, or with the default one if the service does not know
   * it. `open` throws an `unsupported` fault, before any sound, for a voice that is unknown. If that
   * is the default, the fault becomes `authorization`: somebody has to mend a setting.
   */
  speak(
    voice: Voice,
    open: (chosen: ChosenVoice) => AsyncIterable<SpeechPart>,
  ): AsyncIterable<SpeechPart>;
};

/** Names that are remembered; clients choose them. */
const mostRefused = 100;

/** Makes the memory of one provider. */
export function createKnownVoices(provider: string, defaultVoice: string): KnownVoices {
  const refused = new Set<string>();
  return {
    async *speak(voice, open) {
      const asked = chooseVoice(voice, defaultVoice);
      const chosen = refused.has(asked.voice) ? { ...asked, voice: defaultVoice } : asked;
      try {
        return yield* open(chosen);
      } catch (error) {
        if (!(error instanceof ProviderError) || error.fault !== "unsupported") throw error;
        if (chosen.voice === defaultVoice) {
          throw new ProviderError(provider, "authorization", "it has no voice of the name set");
        }
      }
      if (refused.size < mostRefused) refused.add(chosen.voice);
      yield* open({ ...chosen, voice: defaultVoice });
    },
  };
}
