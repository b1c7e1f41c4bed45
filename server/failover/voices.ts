import { InvalidRequest, LimitExceeded, NoProviderLeft, ProviderError } from "../core/errors.ts";
import { primaryOf } from "../core/text/language.ts";
import { scriptOf, scriptsOfLanguage } from "../core/text/scripts.ts";
import type { Synthesizer, Voice } from "../models/synthesizer.ts";
import type { TierOutcome } from "../telemetry/activity.ts";
import type { Tier } from "./tier.ts";
import { recordOf } from "./voice-record.ts";

/** A text, and how it is to be spoken. */
type Speech = { readonly text: string; readonly voice: Voice };

/** Which voices of a chain may speak one text. */
type VoiceChoice = {
  /** What a voice's record calls the language: its tag's first part, or the text's script. */
  readonly language: string;
  /** Whether voices are brought to one loudness: there is more than one. */
  readonly levels: boolean;
  /** The error if no voice speaks the language. */
  readonly refusal: Error | undefined;
  /** Whether a voice may speak now. One without words only where every voice is down. */
  canSpeak(synthesizer: Synthesizer): boolean;
  /** A call has ended. */
  note(outcome: TierOutcome): void;
};

/**
 * Chooses by what each voice declares and by what its record tells. Voices of other languages are not
 * asked. A last resort is asked if the voices that speak the language are down: not if it is the language
 * that they fail in.
 */
export function chooseVoices(tiers: readonly Tier<Synthesizer>[], speech: Speech): VoiceChoice {
  const voices = tiers.map(({ provider }) => provider).filter((voice) => !voice.isLastResort);
  const script = scriptOf(speech.text) ?? "";
  const language = speech.voice.language ? primaryOf(speech.voice.language) : script;
  const speaks = (voice: Synthesizer) =>
    declares(voice, speech, script) && recordOf(voice).speaks(language);
  const isSpoken = voices.length === 0 || voices.some(speaks);
  let failsInLanguage = false;
  return {
    language,
    levels: voices.length > 1,
    refusal: isSpoken ? undefined : new NoProviderLeft("speech", voices.map(cannotSpeak(language))),
    canSpeak: (voice) => (voice.isLastResort ? !failsInLanguage : speaks(voice)),
    note({ error }) {
      failsInLanguage ||= error?.kind === "language";
    },
  };
}

/** Whether the voice says of itself that it speaks this. Of an unknown language the script decides. */
function declares({ languages }: Synthesizer, { voice }: Speech, script: string): boolean {
  if (languages === undefined) return true;
  if (voice.language === undefined) {
    const read = languages.flatMap((language) => scriptsOfLanguage(language));
    return script === "" || read.some((known) => known === script);
  }
  const language = primaryOf(voice.language);
  const isNamed = voice.name !== undefined && primaryOf(voice.name) === language;
  return languages.includes(language) || (isNamed && voice.name?.includes("-") === true);
}

function cannotSpeak(language: string): (voice: Synthesizer) => ProviderError {
  return ({ name }) =>
    new ProviderError(name, "language", `does not speak this language (${language})`);
}

/** Throws `InvalidRequest` if a request names a voice that no tier of the chain can have. */
export function checkVoiceName(tiers: readonly Tier<Synthesizer>[], name: string): void {
  const has = ({ voices, takesVoice }: Synthesizer) =>
    voices === undefined || voices.includes(name) || takesVoice?.(name) === true;
  if (tiers.some(({ provider }) => has(provider))) return;
  throw new InvalidRequest("voice", "must be a voice that /status lists");
}

/**
 * The error for a turn that no voice can take now: each one that is up has too much to say already. A
 * turn that has begun is never refused: it waits.
 */
export function overloadOf(tiers: readonly Tier<Synthesizer>[]): LimitExceeded | undefined {
  const isUp = ({ provider, breaker }: Tier<Synthesizer>) =>
    !provider.isLastResort && breaker.state() !== "OPEN";
  const waits = tiers.filter(isUp).map(({ provider }) => provider.overloadMs?.() ?? 0);
  if (waits.length === 0 || waits.includes(0)) return undefined;
  const seconds = Math.ceil(Math.min(...waits) / 1000);
  return new LimitExceeded(
    `the voices have too much to say; retry in ${seconds} s`,
    "voices",
    seconds * 1000,
  );
}
