import { MPEGDecoder } from "mpg123-decoder";
import { throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import { isSpeakable } from "../../core/text/sentences.ts";
import type { SpeechPart, Synthesizer } from "../../models/synthesizer.ts";
import { type Refusal, speechError } from "../microsoft-speech/errors.ts";
import {
  createPartBuilder,
  type PartBuilder,
  type WordBoundary,
} from "../microsoft-speech/parts.ts";
import { type ConnectionPool, createConnectionPool } from "../microsoft-speech/pool.ts";
import type { SpeechMessage } from "../microsoft-speech/socket.ts";
import { blankForbidden, buildSsml } from "../microsoft-speech/ssml.ts";
import { type ChosenVoice, createKnownVoices, languagesOf } from "../microsoft-speech/voices.ts";
import { type EdgeConnection, openEdgeConnection, speakDocument } from "./connection.ts";

/** Options of the `edge` tier. */
export type EdgeVoiceOptions = {
  /** The default voice; `en-US-JennyNeural` if absent. */
  readonly voice?: string;
  /** Another service. `http:` and `https:` become `ws:` and `wss:`. */
  readonly endpoint?: string;
  /** For both attempts of a text together; 5000 if absent. */
  readonly connectTimeoutMs?: number;
  /** How long the service may send nothing while its audio is awaited; 15000 if absent. */
  readonly idleTimeoutMs?: number;
  /** The time in milliseconds since 1970; the system clock if absent. */
  readonly nowMs?: () => number;
};

const vendorEndpoint =
  "wss://speech.platform.bing.com/consumer/speech/synthesize/readaloud/edge/v1";
/** Smaller differences between the clocks are ignored. */
const minSkewMs = 5_000;
/** Connections kept ready by `prepare`. */
const maxIdle = 8;

/**
 * The voices of the Edge browser's read-aloud: no key, 24 kHz, with word timings. The vendor
 * guarantees nothing, so this is best effort. Each text uses one connection. If that fails before
 * any audio, or the service refuses its token and its clock differs from ours, a second one is tried
 * once.
 */
export function createEdgeVoice(options: EdgeVoiceOptions = {}): Synthesizer {
  const { voice: defaultVoice = "en-US-JennyNeural", idleTimeoutMs = 15_000 } = options;
  const clock = { nowMs: options.nowMs ?? Date.now, skewMs: 0 };
  const { endpoint = vendorEndpoint, connectTimeoutMs = 5_000 } = options;
  const connect = (timeoutMs: number) => openConnection({ endpoint, timeoutMs }, clock);
  const open = () => connect(connectTimeoutMs);
  const pool = createConnectionPool({ open, warmConnections: 0, maxIdle });
  const tier = { pool, clock, connect, connectTimeoutMs, idleTimeoutMs };
  const voices = createKnownVoices("edge", defaultVoice);
  const languages = languagesOf(defaultVoice);
  return {
    name: "edge",
    ...(languages && { languages }),
    hasWordTimings: true,
    // Loads the decoder, so that the first text does not wait for it.
    start: async () => (await createMp3Decoder()).free(),
    synthesize(text, voice, signal) {
      const speakWith = (chosen: ChosenVoice) =>
        speak(tier, { text, ssml: buildSsml({ text, ...chosen }) }, signal);
      return isSpeakable(blankForbidden(text)) ? voices.speak(voice, speakWith) : refuse();
    },
    prepare: pool.prepare,
    stop: async () => pool.stop(),
  };
}

// biome-ignore lint/correctness/useYield: the error is thrown when the speech is pulled.
async function* refuse(): AsyncGenerator<SpeechPart> {
  throw new ProviderError("edge", "unsupported", "nothing to pronounce");
}

type Clock = {
  readonly nowMs: () => number;
  /** How far the service's clock was ahead of ours at its last refusal. */
  skewMs: number;
};

function openConnection(
  { endpoint, timeoutMs }: { readonly endpoint: string; readonly timeoutMs: number },
  clock: Clock,
): EdgeConnection {
  const timeMs = clock.nowMs() + clock.skewMs;
  const onRefusal = (refusal: Refusal) => adjust(clock, refusal);
  return openEdgeConnection({ endpoint, connectTimeoutMs: timeoutMs, timeMs, onRefusal });
}

/** Reads the service's time from a refused token. */
function adjust(clock: Clock, { status, date }: Refusal): void {
  const skewMs = Date.parse(date ?? "") - clock.nowMs();
  if (status === 403 && Math.abs(skewMs - clock.skewMs) > minSkewMs) clock.skewMs = skewMs;
}

type Tier = {
  readonly pool: ConnectionPool<EdgeConnection>;
  readonly clock: Clock;
  /** Opens a connection outside the pool. */
  readonly connect: (timeoutMs: number) => EdgeConnection;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

type Request = { readonly text: string; readonly ssml: string };

/** Speaks; retries once if the connection failed or the refusal corrected the clock. */
async function* speak(
  { pool, clock, connect, connectTimeoutMs, idleTimeoutMs }: Tier,
  { text, ssml }: Request,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  const deadlineMs = performance.now() + connectTimeoutMs;
  for (let isRetry = false; ; isRetry = true) {
    const decoder = await createMp3Decoder();
    const { skewMs } = clock;
    let hasBegun = false;
    try {
      throwIfAborted(signal);
      const leftMs = deadlineMs - performance.now();
      const connection = isRetry ? connect(leftMs) : pool.take().connection;
      const messages = speakDocument(ssml, { connection, idleTimeoutMs }, signal);
      for await (const part of toParts(messages, { text, decoder }, signal)) {
        hasBegun = true;
        yield part;
      }
      return;
    } catch (error) {
      throwIfAborted(signal);
      const hasFailed = error instanceof ProviderError && error.kind === "connectivity";
      const mayPass = hasFailed || clock.skewMs !== skewMs;
      const isLate = performance.now() >= deadlineMs;
      if (isRetry || isLate || hasBegun || !mayPass) throw error;
    } finally {
      decoder.free();
    }
  }
}

async function* toParts(
  messages: AsyncIterable<SpeechMessage>,
  { text, decoder }: { readonly text: string; readonly decoder: Mp3Decoder },
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  const builder = createPartBuilder(text);
  try {
    for await (const message of messages) {
      const part = toPart(message, decoder, builder);
      if (part) yield part;
      // The connection no longer watches the signal once the text is complete.
      throwIfAborted(signal);
    }
    yield* builder.end();
  } catch (error) {
    throwIfAborted(signal);
    yield* builder.fail();
    throw error;
  }
}

function toPart(
  { headers, body }: SpeechMessage,
  decoder: Mp3Decoder,
  builder: PartBuilder,
): SpeechPart | undefined {
  if (typeof body !== "string") {
    if (headers["path"] !== "audio" || body.length === 0) return undefined;
    const { pcm, sampleRateHz } = decoder.decode(body);
    return builder.addAudio(pcm, sampleRateHz);
  }
  if (headers["path"] === "audio.metadata") {
    for (const word of wordsOf(body)) builder.addWord(word);
  }
  return undefined;
}

type Metadata = {
  readonly Metadata?: readonly {
    readonly Type?: string;
    readonly Data?: {
      readonly Offset?: number;
      readonly Duration?: number;
      readonly text?: { readonly Text?: string; readonly BoundaryType?: string };
    };
  }[];
};

function wordsOf(body: string): readonly WordBoundary[] {
  const { Metadata: entries = [] } = JSON.parse(body) as Metadata;
  return entries
    .filter(({ Type, Data }) => Type === "WordBoundary" && isWord(Data?.text?.BoundaryType))
    .map(({ Data }) => ({
      word: Data?.text?.Text ?? "",
      startTicks: Data?.Offset ?? 0,
      durationTicks: Data?.Duration ?? 0,
    }));
}

/** The service marks punctuation too, or does not say. */
function isWord(boundaryType: string | undefined): boolean {
  return boundaryType === undefined || boundaryType === "WordBoundary";
}

/** Decodes one MP3 stream. */
type Mp3Decoder = {
  /**
   * Decodes bytes, split anywhere, into the samples that are complete by now; possibly none. Throws
   * a `protocol` error if they are not MP3.
   */
  decode(bytes: Uint8Array): { readonly pcm: Int16Array; readonly sampleRateHz: number };
  free(): void;
};

/** Creates a decoder. The first one takes about 50 ms, later ones 1 ms. */
async function createMp3Decoder(): Promise<Mp3Decoder> {
  // Gapless mode would cut an encoder delay that this stream does not declare.
  const decoder = new MPEGDecoder({ enableGapless: false });
  await decoder.ready;
  return {
    decode(bytes) {
      const { channelData, samplesDecoded, sampleRate, errors } = decoder.decode(bytes);
      if (errors.length > 0) throw speechError("edge", "protocol", { note: "not MP3" });
      const [left] = channelData;
      const pcm = new Int16Array(left === undefined ? 0 : samplesDecoded);
      for (let at = 0; at < pcm.length; at++) pcm[at] = toSample(left?.[at] ?? 0);
      return { pcm, sampleRateHz: sampleRate };
    },
    free: () => decoder.free(),
  };
}

function toSample(level: number): number {
  return Math.max(-32_768, Math.min(32_767, Math.round(level * 32_768)));
}
