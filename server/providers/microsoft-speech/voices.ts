import { ProviderError } from "../../core/errors.ts";
import { primaryOf } from "../../core/text/language.ts";
import type { SpeechPart, Voice } from "../../models/synthesizer.ts";

/** A voice of Microsoft's, and the language that it speaks. */
export type ChosenVoice = { readonly voice: string; readonly language: string };

/** A voice for each common language. Azure and Edge both have them. */
const voices: Readonly<Record<string, string>> = {
  ar: "ar-SA-ZariyahNeural",
  bg: "bg-BG-KalinaNeural",
  cs: "cs-CZ-VlastaNeural",
  da: "da-DK-ChristelNeural",
  de: "de-DE-KatjaNeural",
  el: "el-GR-AthinaNeural",
  en: "en-US-AriaNeural",
  es: "es-ES-ElviraNeural",
  fi: "fi-FI-NooraNeural",
  fr: "fr-FR-DeniseNeural",
  he: "he-IL-HilaNeural",
  hi: "hi-IN-SwaraNeural",
  hr: "hr-HR-GabrijelaNeural",
  hu: "hu-HU-NoemiNeural",
  id: "id-ID-GadisNeural",
  it: "it-IT-ElsaNeural",
  ja: "ja-JP-NanamiNeural",
  ko: "ko-KR-SunHiNeural",
  nl: "nl-NL-ColetteNeural",
  no: "nb-NO-PernilleNeural",
  pl: "pl-PL-ZofiaNeural",
  pt: "pt-BR-FranciscaNeural",
  ro: "ro-RO-AlinaNeural",
  ru: "ru-RU-SvetlanaNeural",
  sk: "sk-SK-ViktoriaNeural",
  sv: "sv-SE-SofieNeural",
  th: "th-TH-PremwadeeNeural",
  tr: "tr-TR-EmelNeural",
  uk: "uk-UA-PolinaNeural",
  vi: "vi-VN-HoaiMyNeural",
  zh: "zh-CN-XiaoxiaoNeural",
};

/** The languages that a tier speaks with this default voice; undefined if it is one for any. */
export function languagesOf(defaultVoice: string): readonly string[] | undefined {
  if (/Multilingual/.test(defaultVoice)) return undefined;
  return [...new Set([primaryOf(defaultVoice), ...Object.keys(voices)])];
}

/**
 * Chooses the voice: the requested one, if its name has Microsoft's form; else the default, or a
 * voice of the requested language if the default does not speak it.
 */
export function chooseVoice({ name, language }: Voice, defaultVoice: string): ChosenVoice {
  const asked = isTag(language) ? language : undefined;
  if (name !== undefined && isVoiceName(name)) {
    return { voice: name, language: asked ?? languageOf(name) };
  }
  if (asked === undefined || primaryOf(asked) === primaryOf(defaultVoice)) {
    return { voice: defaultVoice, language: asked ?? languageOf(defaultVoice) };
  }
  const other = /Multilingual/.test(defaultVoice) ? undefined : voices[primaryOf(asked)];
  return { voice: other ?? defaultVoice, language: asked };
}

/** The voices that a tier is known to have: the default one, then one for each common language. */
export function knownVoicesOf(defaultVoice: string): readonly string[] {
  return [...new Set([defaultVoice, ...Object.values(voices)])];
}

/** True for names such as `en-US-AriaNeural`: the service has many more than are known here. */
export function isVoiceName(name: string): boolean {
  return /^[a-z]{2,3}(?:-[A-Za-z\d]{2,8}){1,3}-[\p{L}\d:]{2,60}$/u.test(name);
}

function isTag(language: string | undefined): language is string {
  return language !== undefined && /^[a-z]{2,3}(?:-[a-z\d]{2,8}){0,3}$/i.test(language);
}

/** `en-US` of `en-US-AriaNeural`. */
function languageOf(voice: string): string {
  return /^[a-z]{2,3}-(?:[A-Z][a-z]{3}-)?[A-Z]{2}/.exec(voice)?.[0] ?? "en-US";
}

/** Remembers which voices a service does not have. */
export type KnownVoices = {
  /**
   * Speaks with the requested voice, or with the default one if the service does not have it. `open`
   * throws an `unsupported` error before any audio if the voice is unknown. If it is the default
   * voice, the error becomes `authorization`: a setting is wrong.
   */
  speak(
    voice: Voice,
    open: (chosen: ChosenVoice) => AsyncIterable<SpeechPart>,
  ): AsyncIterable<SpeechPart>;
};

/** Names that are remembered. Clients choose them, so there is a limit. */
const maxUnknown = 100;

/** Creates it for one provider. */
export function createKnownVoices(provider: string, defaultVoice: string): KnownVoices {
  const unknown = new Set<string>();
  return {
    async *speak(voice, open) {
      const requested = chooseVoice(voice, defaultVoice);
      const chosen = unknown.has(requested.voice)
        ? { ...requested, voice: defaultVoice }
        : requested;
      try {
        return yield* open(chosen);
      } catch (error) {
        if (!(error instanceof ProviderError) || error.kind !== "unsupported") throw error;
        if (chosen.voice === defaultVoice) {
          throw new ProviderError(
            provider,
            "authorization",
            "the voice in the settings does not exist",
          );
        }
      }
      if (unknown.size < maxUnknown) unknown.add(chosen.voice);
      yield* open({ ...chosen, voice: defaultVoice });
    },
  };
}
