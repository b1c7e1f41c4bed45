import { throwIfAborted } from "../../core/async.ts";
import { createAligner, samplesOf } from "../../core/audio/pcm.ts";
import { ProviderError } from "../../core/errors.ts";
import { isSpeakable } from "../../core/text/sentences.ts";
import type { SpeechPart, Synthesizer, Voice } from "../../models/synthesizer.ts";
import { createPartBuilder } from "../microsoft-speech/parts.ts";
import { type ConnectionPool, createConnectionPool } from "../microsoft-speech/pool.ts";
import { blankForbidden, buildSsml } from "../microsoft-speech/ssml.ts";
import { createKnownVoices, type KnownVoices, languagesOf } from "../microsoft-speech/voices.ts";
import { type AzureConnection, type AzureEvent, openAzureConnection } from "./connection.ts";

/** Options of the `azure` tier. */
export type AzureVoiceOptions = {
  readonly apiKey: string;
  /** Where the key is valid: `westeurope`. Either `region` or `host` is required. */
  readonly region?: string;
  /** Another service: `wss://HOST`. `http:` and `https:` become `ws:` and `wss:`. */
  readonly host?: string;
  /** The default voice; `en-US-AriaNeural` if absent. */
  readonly voice?: string;
  /** Connections kept ready; 2 if absent. */
  readonly warmConnections?: number;
  /** 5000 if absent. */
  readonly connectTimeoutMs?: number;
  /** How long the service may send nothing while its audio is awaited; 15000 if absent. */
  readonly idleTimeoutMs?: number;
  /** Called when a warm connection cannot be opened: the key may be wrong. */
  readonly onError?: (error: unknown) => void;
};

const sampleRateHz = 48_000;
/** Idle connections kept for reuse. */
const maxIdle = 8;

/**
 * The voices of Azure AI Speech, through the vendor's SDK: 48 kHz, with word timings. An unknown
 * voice is replaced by the default one; if the default is unknown, the error is `authorization`.
 */
export function createAzureVoice(options: AzureVoiceOptions): Synthesizer {
  const { apiKey, warmConnections = 2, connectTimeoutMs = 5_000, idleTimeoutMs = 15_000 } = options;
  const connection = { apiKey, host: hostOf(options), connectTimeoutMs, idleTimeoutMs };
  const open = () => openAzureConnection(connection);
  const pool = createConnectionPool({ open, warmConnections, maxIdle, onError: options.onError });
  const defaultVoice = options.voice ?? "en-US-AriaNeural";
  const voices = createKnownVoices("azure", defaultVoice);
  const languages = languagesOf(defaultVoice);
  return {
    name: "azure",
    ...(languages && { languages }),
    hasWordTimings: true,
    // Not awaited: a service that is down now may be up for the first sentence.
    start: async () => pool.fill(),
    synthesize: (text, voice, signal) => speak({ pool, voices }, { text, voice }, signal),
    prepare: pool.prepare,
    stop: async () => pool.stop(),
  };
}

type Tier = {
  readonly pool: ConnectionPool<AzureConnection>;
  readonly voices: KnownVoices;
};

type Request = { readonly text: string; readonly voice: Voice };

function hostOf({ region, host }: AzureVoiceOptions): string {
  if (host !== undefined) return host.replace(/^http/, "ws");
  if (region === undefined) throw new TypeError("azure needs a region or a host");
  const domain = region.startsWith("china") ? "azure.cn" : "microsoft.com";
  return `wss://${region}.tts.speech.${domain}`;
}

async function* speak(
  { pool, voices }: Tier,
  { text, voice }: Request,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  if (!isSpeakable(blankForbidden(text))) {
    throw new ProviderError("azure", "unsupported", "nothing to pronounce");
  }
  yield* voices.speak(voice, (chosen) =>
    speakOn(pool, { text, ssml: buildSsml({ text, ...chosen }) }, signal),
  );
}

/** Speaks on a pooled connection. If a reused one turns out to be dead, tries once on a new one. */
async function* speakOn(
  pool: ConnectionPool<AzureConnection>,
  { text, ssml }: { readonly text: string; readonly ssml: string },
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  for (let isRetry = false; ; isRetry = true) {
    throwIfAborted(signal);
    const { connection, isNew } = pool.take(isRetry);
    let hasBegun = false;
    try {
      for await (const part of toParts(connection.speak(ssml, signal), text, signal)) {
        hasBegun = true;
        yield part;
        // The connection no longer watches the signal once the text is complete.
        throwIfAborted(signal);
      }
      return pool.give(connection);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const hasDied = error instanceof ProviderError && error.kind === "connectivity";
      if (hasBegun || isNew || isRetry || !hasDied) throw error;
    }
  }
}

async function* toParts(
  events: AsyncIterable<AzureEvent>,
  text: string,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  const builder = createPartBuilder(text);
  const align = createAligner(2);
  try {
    for await (const event of events) {
      if (event.type === "word") {
        builder.addWord(event.word);
        continue;
      }
      const part = builder.addAudio(samplesOf(align(event.bytes)), sampleRateHz);
      if (part) yield part;
    }
    yield* builder.end();
  } catch (error) {
    throwIfAborted(signal);
    yield* builder.fail();
    throw error;
  }
}
