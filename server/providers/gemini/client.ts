import { ApiError, GoogleGenAI, Live, Modality } from "@google/genai";
import { onAbort, throwIfAborted } from "../../core/async.ts";
import { httpError, thrownError } from "./errors.ts";
import { fetchFor, quietly, vendorUrl, warm } from "./http.ts";
import type { LiveMessage, LiveSession } from "./live-messages.ts";
import type { GeminiContent } from "./prompt.ts";

/** The vendor's service and the key for it. */
export type GeminiAccess = {
  /** Printable ASCII. */
  readonly apiKey: string;
  /** `http:` or `https:`; the vendor's address if absent. */
  readonly baseUrl?: string;
};

/** One request for a streamed reply. */
type GeminiRequest = {
  readonly model: string;
  readonly contents: readonly GeminiContent[];
  readonly instruction?: string | undefined;
  /** Whether the model may search the web. */
  readonly search?: boolean | undefined;
};

/** Texts to embed. */
type EmbedRequest = {
  readonly model: string;
  readonly texts: readonly string[];
  /** What the vectors are for, by the vendor's name. */
  readonly taskType: "RETRIEVAL_DOCUMENT" | "RETRIEVAL_QUERY";
  readonly dimensions: number;
};

/** A chunk of a streamed reply, in the vendor's format. */
export type GeminiChunk = {
  readonly candidates?: readonly {
    readonly content?: { readonly parts?: readonly { text?: string; thought?: boolean }[] };
    readonly finishReason?: string;
  }[];
  readonly promptFeedback?: { readonly blockReason?: string };
  /** Rises from chunk to chunk; the last one counts. */
  readonly usageMetadata?: {
    readonly promptTokenCount?: number;
    readonly candidatesTokenCount?: number;
  };
};

/** The setup of a Live connection. The model answers in audio, with a transcript. */
export type LiveSetup = {
  readonly model: string;
  readonly instruction?: string | undefined;
  readonly search?: boolean | undefined;
  readonly voice?: string | undefined;
  /** Resumes an earlier server session. */
  readonly resumptionToken?: string | undefined;
};

/** What the SDK tells its WebSocket's owner. */
export type SocketCallbacks = {
  readonly onopen: () => void;
  readonly onmessage: (event: { data: string }) => void;
  readonly onerror: (event: { message: string }) => void;
  readonly onclose: (event: { code: number; reason: string }) => void;
};

/** Creates the WebSocket of a Live connection. The address contains the key. */
export type SocketFactory = {
  create(
    url: string,
    headers: Record<string, string>,
    callbacks: SocketCallbacks,
  ): { connect(): void; send(message: string): void; close(): void };
};

/** The part of the vendor's SDK that the gateway uses. */
export type GeminiClient = {
  /** The tier's name, for errors. */
  readonly provider: string;
  /** Throws `ProviderError`, or the signal's reason; then the request is aborted. */
  stream(request: GeminiRequest, signal: AbortSignal): AsyncGenerator<GeminiChunk>;
  /**
   * One vector for each text, empty if the vendor sent none. Throws as `stream` does. The signal must be
   * the call's own: the SDK leaks a listener on it.
   */
  embed(request: EmbedRequest, signal: AbortSignal): Promise<readonly (readonly number[])[]>;
  /**
   * Opens a connection for the next `stream`, to save its first round trips. An unused one closes by
   * itself after some seconds. Rejects if the service cannot be reached.
   */
  warm(signal: AbortSignal): Promise<void>;
  /**
   * Opens and sets up a Live connection on a socket of the factory. May never settle: the caller
   * watches the socket and the time. `onMessage` must not throw.
   */
  openLive(
    setup: LiveSetup,
    sockets: SocketFactory,
    onMessage: (message: LiveMessage) => void,
  ): Promise<LiveSession>;
};

/** Gives the SDK our sockets: its own lose the response to a failed handshake. */
class Sdk extends GoogleGenAI {
  liveOn(sockets: SocketFactory): Live {
    return new Live(this.apiClient, this.apiClient.clientOptions.auth, sockets);
  }
}

/** Creates the client of a tier. Opens nothing, and reads no environment variable. */
export function createGeminiClient(provider: string, access: GeminiAccess): GeminiClient {
  const { apiKey, baseUrl = vendorUrl } = access;
  const sdk = quietly(
    () =>
      new Sdk({
        apiKey,
        vertexai: false,
        apiVersion: "v1beta",
        httpOptions: { baseUrl, fetch: fetchFor(provider) },
      }),
  );
  return {
    provider,
    stream: (request, signal) => stream({ sdk, provider, request }, signal),
    embed: (request, signal) => embed({ sdk, provider }, request, signal),
    warm: (signal) => warm(baseUrl, signal),
    openLive: (setup, sockets, onMessage) => openLive(sdk, setup, { sockets, onMessage }),
  };
}

type Call = { readonly sdk: Sdk; readonly provider: string; readonly request: GeminiRequest };

async function* stream(call: Call, signal: AbortSignal): AsyncGenerator<GeminiChunk> {
  throwIfAborted(signal);
  // Its own signal, for two reasons: the SDK leaks a listener on the signal it gets, and a reader that
  // leaves early would leave the response body open.
  const scope = new AbortController();
  const removeListener = onAbort(signal, () => scope.abort());
  try {
    for await (const chunk of await ask(call, scope.signal)) {
      throwIfAborted(signal);
      yield chunk;
    }
  } catch (error) {
    throwIfAborted(signal);
    throw toProviderError(call.provider, error);
  } finally {
    removeListener();
    scope.abort();
  }
}

function ask(
  { sdk, request }: Call,
  abortSignal: AbortSignal,
): Promise<AsyncIterable<GeminiChunk>> {
  const { model, contents, instruction, search } = request;
  return sdk.models.generateContentStream({
    model,
    contents: [...contents],
    config: {
      abortSignal,
      // It would send a second request.
      automaticContinuation: false,
      ...(instruction !== undefined && { systemInstruction: instruction }),
      ...(search && { tools: [{ googleSearch: {} }] }),
    },
  });
}

async function embed(
  { sdk, provider }: Pick<Call, "sdk" | "provider">,
  { model, texts, taskType, dimensions }: EmbedRequest,
  signal: AbortSignal,
): Promise<readonly (readonly number[])[]> {
  const contents = texts.map((text) => ({ role: "user", parts: [{ text }] }));
  const config = { abortSignal: signal, taskType, outputDimensionality: dimensions };
  try {
    const { embeddings = [] } = await sdk.models.embedContent({ model, contents, config });
    return embeddings.map(({ values = [] }) => values);
  } catch (error) {
    throwIfAborted(signal);
    throw toProviderError(provider, error);
  }
}

/** An error in the middle of a stream: JSON after some text. */
function toProviderError(provider: string, error: unknown): Error {
  if (!(error instanceof ApiError)) return thrownError(provider, error);
  const body = error.message.slice(Math.max(0, error.message.indexOf("{")));
  return httpError(provider, { status: error.status, body });
}

type LiveOptions = {
  readonly sockets: SocketFactory;
  readonly onMessage: (message: LiveMessage) => void;
};

async function openLive(
  sdk: Sdk,
  setup: LiveSetup,
  { sockets, onMessage }: LiveOptions,
): Promise<LiveSession> {
  const session = await sdk.liveOn(sockets).connect({
    model: setup.model,
    config: configOf(setup),
    callbacks: { onmessage: onMessage },
  });
  return {
    sendContents: (contents, more) =>
      session.sendClientContent({ turns: [...contents], turnComplete: more === undefined }),
    sendRealtime: (input) => session.sendRealtimeInput(input),
  };
}

function configOf({ instruction, search, voice, resumptionToken }: LiveSetup) {
  return {
    responseModalities: [Modality.AUDIO],
    // An empty object asks for a token.
    sessionResumption: resumptionToken === undefined ? {} : { handle: resumptionToken },
    // Without it a session ends after 15 minutes of audio.
    contextWindowCompression: { slidingWindow: {} },
    outputAudioTranscription: {},
    inputAudioTranscription: {},
    // Speech comes whole: where it begins and ends is known.
    realtimeInputConfig: { automaticActivityDetection: { disabled: true } },
    ...(instruction !== undefined && { systemInstruction: instruction }),
    ...(search && { tools: [{ googleSearch: {} }] }),
    ...(voice && { speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } } }),
  };
}
