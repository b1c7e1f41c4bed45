import { throwIfAborted } from "../../core/async/abort.ts";
import { createAligner, samplesOf } from "../../core/audio/bytes.ts";
import { ProviderError } from "../../core/errors.ts";
import { isSpeakable } from "../../core/text/sentences.ts";
import type { SpeechPart, Synthesizer, Voice } from "../../models/synthesizer.ts";
import { createPartMaker } from "../microsoft-speech/parts.ts";
import { type AzurePool, createAzurePool } from "../microsoft-speech/pool.ts";
import { blankForbidden, buildSsml } from "../microsoft-speech/ssml.ts";
import { createKnownVoices, type KnownVoices } from "../microsoft-speech/voices.ts";
import { type AzureConnection, type AzureEvent, openAzureConnection } from "./connection.ts";

/** What the Azure voice is created with. */
export type AzureVoiceOptions = {
  readonly apiKey: string;
  /** Where the key is valid: `westeurope`. One of `region` and `host` is needed. */
  readonly region?: string;
  /** A service elsewhere: `wss://HOST`; `http:` and `https:` are taken as `ws:` and `wss:`. */
  readonly host?: string;
  /** The voice where none is asked for. */
  readonly voice?: string;
  /** How fast, 1 being the voice's own pace; 0.5 to 2. */
  readonly rate?: number;
  /** Connections that are kept ready. 2 unless said otherwise. */
  readonly warmConnections?: number;
  /** 5000 unless said otherwise. */
  readonly connectTimeoutMs?: number;
  /** Silence of the service while its sound is waited for. 15000 unless said otherwise. */
  readonly idleTimeoutMs?: number;
  /** Told of a spare connection that could not be had, for a key that is wrong, say. */
  readonly onError?: (error: unknown) => void;
};

const sampleRateHz = 48_000;
/** Connections that are kept for reuse at most. */
const mostIdle = 8;

/**
 * The voices of Azure AI Speech, through the vendor's SDK: 48 kHz, with the timing of every word.
 * A voice that the service does not know is replaced by the default one; if it is the default that
 * is unknown, the fault is `authorization`: a setting has to be mended.
 */
export function createAzureVoice(options: AzureVoiceOptions): Synthesizer {
  const { apiKey, warmConnections = 2, connectTimeoutMs = 5_000, idleTimeoutMs = 15_000 } = options;
  const host = hostOf(options);
  const lineOptions = { apiKey, host, connectTimeoutMs, idleTimeoutMs };
  const open = () => openAzureConnection(lineOptions);
  const pool = createAzurePool({ open, warmConnections, mostIdle, onError: options.onError });
  const speech: Speech = {
    pool,
    voices: createKnownVoices("azure", options.voice ?? "en-US-AriaNeural"),
    rate: options.rate ?? 1,
  };
  return {
    name: "azure",
    hasWordTimings: true,
    // Not awaited: a service that is down now may be up when the first sentence comes.
    start: async () => pool.fill(),
    synthesize: (text, voice, signal) => speak(speech, { text, voice }, signal),
    prepare: pool.prepare,
    stop: async () => pool.stop(),
  };
}

type Speech = {
  readonly pool: AzurePool<AzureConnection>;
  readonly voices: KnownVoices;
  readonly rate: number;
};

type Request = { readonly text: string; readonly voice: Voice };

function hostOf({ region, host }: AzureVoiceOptions): string {
  if (host !== undefined) return host.replace(/^http/, "ws");
  if (region === undefined) throw new TypeError("azure needs a region or a host");
  const domain = region.startsWith("china") ? "azure.cn" : "microsoft.com";
  return `wss://${region}.tts.speech.${domain}`;
}

async function* speak(
  { pool, voices, rate }: Speech,
  { text, voice }: Request,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  if (!isSpeakable(blankForbidden(text))) {
    throw new ProviderError("azure", "unsupported", "there is nothing to pronounce");
  }
  yield* voices.speak(voice, (chosen) =>
    speakOn(pool, { text, ssml: buildSsml({ text, rate, ...chosen }) }, signal),
  );
}

/** Speaks on a connection of the pool. A spare may have died unnoticed: then once more, on a new one. */
async function* speakOn(
  pool: AzurePool<AzureConnection>,
  { text, ssml }: { readonly text: string; readonly ssml: string },
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  for (let isAgain = false; ; isAgain = true) {
    throwIfAborted(signal);
    const { connection, isNew } = pool.take(isAgain);
    let hasBegun = false;
    try {
      for await (const part of toParts(connection.speak(ssml, signal), text, signal)) {
        hasBegun = true;
        yield part;
        // A text that has come whole is no longer the connection's to cut short.
        throwIfAborted(signal);
      }
      return pool.give(connection);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const hasDied = error instanceof ProviderError && error.fault === "connectivity";
      if (hasBegun || isNew || isAgain || !hasDied) throw error;
    }
  }
}

async function* toParts(
  events: AsyncIterable<AzureEvent>,
  text: string,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  const maker = createPartMaker(text);
  const align = createAligner(2);
  try {
    for await (const event of events) {
      if (event.type === "word") {
        maker.tell(event.word);
        continue;
      }
      const part = maker.sound(samplesOf(align(event.bytes)), sampleRateHz);
      if (part) yield part;
    }
    yield* maker.end();
  } catch (error) {
    throwIfAborted(signal);
    yield* maker.fail();
    throw error;
  }
}
