import { throwIfAborted } from "../../../core/abort.ts";
import { ProviderError } from "../../../core/errors.ts";
import type { SpeechPart, Synthesizer } from "../synthesizer.ts";
import { type Booth, createBooth } from "../booth/booth.ts";
import { cutClauses } from "../english/clauses.ts";
import { isMostlyForeign, toLatin } from "../english/latin.ts";
import type { SpeakRequest } from "../booth/messages.ts";
import { cutSlices } from "../english/slices.ts";
import { writeOut } from "../english/write-out.ts";

/** Sound is handed on in pieces this long, so that nobody has to work through seconds at a time. */
const partMs = 250;

/** The model takes 2 s to load on two free cores, and several times that on busy ones. */
const loadingMs = 20_000;

/**
 * How long a text is heard, about. So long may one wait that is heard after another of its turn: the
 * first texts of other turns go before it.
 */
const ordinaryTextMs = 3_000;

/** What the local voice is created with. */
export type LocalVoiceOptions = {
  /** Whether a text mostly in another script is romanised and spoken; else it is refused. */
  readonly transliterate: boolean;
  /** For tests. */
  readonly booth?: Booth;
};

/**
 * The local neural voice: English, one speaker, no key and no network. It speaks in a process of
 * its own, clause by clause. `start` does not wait for it to load, a second or two; the first
 * `synthesize` does.
 *
 * The voice's name and language are ignored: there is one. A text that is mostly in a non-Latin
 * script is refused as `unsupported`, for another tier to speak, unless `transliterate` is set.
 */
export function createLocalVoice(options: LocalVoiceOptions): Synthesizer {
  const booth = options.booth ?? createBooth();
  return {
    name: "local",
    firstPartMs: loadingMs,
    async start() {
      booth.open().catch(() => undefined);
    },
    synthesize(text, { textsBefore = 0 }, signal) {
      const neededAtMs = performance.now() + textsBefore * ordinaryTextMs;
      const clauses = clausesOf(text, options.transliterate);
      return speakText(booth, { clauses, neededAtMs }, signal);
    },
    stop: () => booth.close(),
  };
}

type Speech = {
  readonly clauses: Iterable<SpeakRequest>;
  /** When its first sound is needed, on the clock of `performance.now()`. */
  readonly neededAtMs: number;
};

async function* speakText(
  booth: Booth,
  { clauses, neededAtMs }: Speech,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  throwIfAborted(signal);
  let heardUpToMs = neededAtMs;
  let isSilent = true;
  for (const clause of clauses) {
    throwIfAborted(signal);
    const { pcm, sampleRateHz } = await booth.speak(clause, heardUpToMs, signal);
    heardUpToMs = Math.max(heardUpToMs, performance.now()) + (pcm.length * 1000) / sampleRateHz;
    isSilent = false;
    const step = Math.round((sampleRateHz * partMs) / 1000);
    for (let at = 0; at < pcm.length; at += step) {
      throwIfAborted(signal);
      yield { pcm: pcm.subarray(at, at + step), sampleRateHz };
    }
  }
  if (isSilent) throw new ProviderError("local", "unsupported", "there is nothing to pronounce");
}

/** The text's clauses, made as they are asked for. */
function* clausesOf(text: string, transliterate: boolean): Generator<SpeakRequest> {
  if (!transliterate && isMostlyForeign(text)) {
    throw new ProviderError("local", "unsupported", "the text is not in the Latin script");
  }
  for (const slice of cutSlices(text)) yield* cutClauses(writeOut(toLatin(slice)));
}
