import { MPEGDecoder } from "mpg123-decoder";
import { throwIfAborted } from "../../core/async/abort.ts";
import { ProviderError } from "../../core/errors.ts";
import { isSpeakable } from "../../core/text/sentences.ts";
import type { SpeechPart, Synthesizer } from "../../models/synthesizer.ts";
import { kindOf, type Refusal } from "../microsoft-speech/errors.ts";
import { createPartMaker, type PartMaker } from "../microsoft-speech/parts.ts";
import { type AzurePool, createAzurePool } from "../microsoft-speech/pool.ts";
import type { SpeechMessage } from "../microsoft-speech/socket.ts";
import { blankForbidden, buildSsml } from "../microsoft-speech/ssml.ts";
import { type ChosenVoice, createKnownVoices } from "../microsoft-speech/voices.ts";
import { type EdgeConnection, openEdgeLine, runEdgeSession } from "./connection.ts";

/** What the Edge voice is created with. */
export type EdgeVoiceOptions = {
  /** The voice where none is asked for. */
  readonly voice?: string;
  /** A service elsewhere; `http:` and `https:` are taken as `ws:` and `wss:`. */
  readonly endpoint?: string;
  /** How fast, 1 being the voice's own pace; 0.5 to 2. */
  readonly rate?: number;
  /** For both tries of a text together. 5000 unless said otherwise. */
  readonly connectTimeoutMs?: number;
  /** Silence of the service while its sound is waited for. 15000 unless said otherwise. */
  readonly idleTimeoutMs?: number;
  /** Milliseconds since 1970. For tests. */
  readonly nowMs?: () => number;
};

const vendorEndpoint =
  "wss://speech.platform.bing.com/consumer/speech/synthesize/readaloud/edge/v1";
/** A clock that differs by less makes no difference to a token but at a border. */
const mostSkewMs = 5_000;
/** Connections that are ready for those who still speak, at most. */
const mostReady = 8;

/**
 * The voices of the Edge browser's read-aloud: no key, 24 kHz, with the timing of every word. The
 * vendor promises nothing, so this is a best effort: one connection a text, and a second one, once, if
 * the first fails before any sound, or if the service refuses its token and its clock differs from
 * ours.
 */
export function createEdgeVoice(options: EdgeVoiceOptions = {}): Synthesizer {
  const { voice: defaultVoice = "en-US-JennyNeural", rate = 1, idleTimeoutMs = 15_000 } = options;
  const clock = { nowMs: options.nowMs ?? Date.now, skewMs: 0 };
  const { endpoint = vendorEndpoint, connectTimeoutMs = 5_000 } = options;
  const connect = (timeoutMs: number) => openConnection({ endpoint, timeoutMs }, clock);
  const open = () => connect(connectTimeoutMs);
  const pool = createAzurePool({ open, warmConnections: 0, mostIdle: mostReady });
  const speech = { pool, clock, connect, connectTimeoutMs, idleTimeoutMs };
  const voices = createKnownVoices("edge", defaultVoice);
  return {
    name: "edge",
    hasWordTimings: true,
    // Loads the decoder, which the first text would wait for.
    start: async () => (await createMp3Decoder()).free(),
    synthesize(text, voice, signal) {
      const ask = (chosen: ChosenVoice) => buildSsml({ text, rate, ...chosen });
      const say = (chosen: ChosenVoice) => speak(speech, { text, ssml: ask(chosen) }, signal);
      return isSpeakable(blankForbidden(text)) ? voices.speak(voice, say) : refuse();
    },
    prepare: pool.prepare,
    stop: async () => pool.stop(),
  };
}

// biome-ignore lint/correctness/useYield: it is speech that is refused when it is asked for.
async function* refuse(): AsyncGenerator<SpeechPart> {
  throw new ProviderError("edge", "unsupported", "there is nothing to pronounce");
}

type Clock = {
  readonly nowMs: () => number;
  /** What the service's clock was ahead of ours when it last refused us. */
  skewMs: number;
};

function openConnection(
  { endpoint, timeoutMs }: { readonly endpoint: string; readonly timeoutMs: number },
  clock: Clock,
): EdgeConnection {
  const timeMs = clock.nowMs() + clock.skewMs;
  const onRefusal = (refusal: Refusal) => adjust(clock, refusal);
  return openEdgeLine({ endpoint, connectTimeoutMs: timeoutMs, timeMs, onRefusal });
}

type Speech = {
  readonly pool: AzurePool<EdgeConnection>;
  readonly clock: Clock;
  /** Opens a connection that nobody else waits for. */
  readonly connect: (timeoutMs: number) => EdgeConnection;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
};

type Request = { readonly text: string; readonly ssml: string };

/** Speaks; once more on a new connection if the refusal taught the service's time, or the first failed. */
async function* speak(
  { pool, clock, connect, connectTimeoutMs, idleTimeoutMs }: Speech,
  { text, ssml }: Request,
  signal: AbortSignal,
): AsyncGenerator<SpeechPart> {
  const deadlineMs = performance.now() + connectTimeoutMs;
  for (let isAgain = false; ; isAgain = true) {
    const decoder = await createMp3Decoder();
    const { skewMs } = clock;
    let hasBegun = false;
    try {
      throwIfAborted(signal);
      const leftMs = deadlineMs - performance.now();
      const connection = isAgain ? connect(leftMs) : pool.take().connection;
      const messages = runEdgeSession(ssml, { connection, idleTimeoutMs }, signal);
      for await (const part of toParts(messages, { text, decoder }, signal)) {
        hasBegun = true;
        yield part;
      }
      return;
    } catch (error) {
      throwIfAborted(signal);
      const hasFailed = error instanceof ProviderError && error.fault === "connectivity";
      const mayPass = hasFailed || clock.skewMs !== skewMs;
      const isLate = performance.now() >= deadlineMs;
      if (isAgain || isLate || hasBegun || !mayPass) throw error;
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
  const maker = createPartMaker(text);
  try {
    for await (const message of messages) {
      const part = toPart(message, decoder, maker);
      if (part) yield part;
      // A text that has come whole is no longer the socket's to cut short.
      throwIfAborted(signal);
    }
    yield* maker.end();
  } catch (error) {
    throwIfAborted(signal);
    yield* maker.fail();
    throw error;
  }
}

/** Learns the service's time from its refusal of a token. */
function adjust(clock: Clock, { status, date }: Refusal): void {
  const skewMs = Date.parse(date ?? "") - clock.nowMs();
  if (status === 403 && Math.abs(skewMs - clock.skewMs) > mostSkewMs) clock.skewMs = skewMs;
}

function toPart(
  { headers, body }: SpeechMessage,
  decoder: Mp3Decoder,
  maker: PartMaker,
): SpeechPart | undefined {
  if (typeof body !== "string") {
    if (headers["path"] !== "audio" || body.length === 0) return undefined;
    const { pcm, sampleRateHz } = decoder.decode(body);
    return maker.sound(pcm, sampleRateHz);
  }
  if (headers["path"] === "audio.metadata") for (const word of wordsOf(body)) maker.tell(word);
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

function wordsOf(body: string) {
  const { Metadata: entries = [] } = JSON.parse(body) as Metadata;
  return entries
    .filter(({ Type, Data }) => Type === "WordBoundary" && isWord(Data?.text?.BoundaryType))
    .map(({ Data }) => ({
      word: Data?.text?.Text ?? "",
      startTicks: Data?.Offset ?? 0,
      durationTicks: Data?.Duration ?? 0,
    }));
}

/** The service calls all of them words, or does not say. */
function isWord(boundaryType: string | undefined): boolean {
  return boundaryType === undefined || boundaryType === "WordBoundary";
}

/** Sound that was decoded. */
type Decoded = { readonly pcm: Int16Array; readonly sampleRateHz: number };

/** Decodes one MP3 stream as it comes. */
export type Mp3Decoder = {
  /**
   * Takes bytes in, in any cuts, and gives the samples that are whole by now; perhaps none. Throws a
   * `protocol` fault if they are no MP3.
   */
  decode(bytes: Uint8Array): Decoded;
  /** Frees the decoder's memory. */
  free(): void;
};

/** Makes a decoder; the first one takes some 50 ms, later ones one. */
export async function createMp3Decoder(): Promise<Mp3Decoder> {
  // Gapless play would cut the delay of an encoder that does not tell of itself here.
  const decoder = new MPEGDecoder({ enableGapless: false });
  await decoder.ready;
  return {
    decode(bytes) {
      const { channelData, samplesDecoded, sampleRate, errors } = decoder.decode(bytes);
      if (errors.length > 0) throw kindOf("edge", "protocol", { told: "the sound is no MP3" });
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
