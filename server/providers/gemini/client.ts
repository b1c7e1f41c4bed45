import { setImmediate } from "node:timers/promises";
import { ApiError, GoogleGenAI, Live, Modality } from "@google/genai";
import { onAbort, throwIfAborted } from "../../core/async.ts";
import type { LiveSocket } from "../gemini-live/socket.ts";
import { httpFault, thrownFault } from "./errors.ts";
import type { GeminiContent } from "./prompt.ts";

/** Where the vendor's service is, and who asks. */
export type GeminiAccess = {
  /** Printable ASCII. */
  readonly apiKey: string;
  /** `http:` or `https:`; the vendor's own address if absent. */
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

/** A piece of a streamed reply, in the vendor's form. */
export type GeminiChunk = {
  readonly candidates?: readonly {
    readonly content?: { readonly parts?: readonly { text?: string; thought?: boolean }[] };
    readonly finishReason?: string;
  }[];
  readonly promptFeedback?: { readonly blockReason?: string };
};

/** What a Live connection is set up with; it holds for the whole connection. */
export type LiveSetup = {
  readonly model: string;
  readonly modality: "audio" | "text";
  readonly instruction?: string | undefined;
  readonly search?: boolean | undefined;
  readonly voice?: string | undefined;
  /** Goes on with an earlier server session. */
  readonly resumptionToken?: string | undefined;
};

/** A message from a Live connection, in the vendor's form. */
export type LiveMessage = {
  readonly serverContent?: LiveContent;
  readonly goAway?: object;
  readonly sessionResumptionUpdate?: { readonly newHandle?: string; readonly resumable?: boolean };
};

/** What a Live message says of a reply. */
export type LiveContent = {
  readonly modelTurn?: { readonly parts?: readonly LivePart[] };
  readonly outputTranscription?: { readonly text?: string };
  readonly generationComplete?: boolean;
  readonly turnComplete?: boolean;
  readonly turnCompleteReason?: string;
};

/** A piece of a Live reply: words, or sound in base64. */
export type LivePart = {
  readonly text?: string;
  readonly thought?: boolean;
  readonly inlineData?: { readonly mimeType?: string; readonly data?: string };
};

/** Sends on a Live connection that was set up. */
export type LiveSession = {
  /** Messages in order; the model replies to them. */
  sendContents(contents: readonly GeminiContent[]): void;
  /** Words that the model replies to at once. */
  sendText(text: string): void;
  sendPicture(picture: { mimeType: string; data: string }): void;
};

/** The vendor's SDK, as far as the gateway uses it. */
export type GeminiClient = {
  /** The tier that speaks through it. */
  readonly provider: string;
  /** Throws `ProviderError`, or the signal's reason; then the request is aborted. */
  stream(request: GeminiRequest, signal: AbortSignal): AsyncGenerator<GeminiChunk>;
  /**
   * Has a connection stand ready for the next `stream`, which would spend its first round trips on it.
   * It closes by itself when it is not used for some seconds. Rejects if the service is not there.
   */
  warm(signal: AbortSignal): Promise<void>;
  /**
   * Opens a connection through the socket and sets it up. May never settle: the caller watches the
   * socket and the clock. `onMessage` never throws.
   */
  openLive(
    setup: LiveSetup,
    socket: LiveSocket,
    onMessage: (message: LiveMessage) => void,
  ): Promise<LiveSession>;
};

const warmTimeoutMs = 3_000;
const vendorUrl = "https://generativelanguage.googleapis.com";

/** The SDK opens its own sockets, and what they say in their handshake is lost: it is given ours. */
class Sdk extends GoogleGenAI {
  liveOn(socket: LiveSocket): Live {
    return new Live(this.apiClient, this.apiClient.clientOptions.auth, socket);
  }
}

/** Makes a client for the tier of that name. Opens nothing. The environment is not looked at. */
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
    warm: (signal) => warm(baseUrl, signal),
    openLive: (setup, socket, onMessage) => openLive(sdk, setup, { socket, onMessage }),
  };
}

/**
 * Asks for a page that need not exist, without the key: only the connection is wanted, and Node keeps
 * it for whoever asks next. After a HEAD it would not.
 */
async function warm(baseUrl: string, signal: AbortSignal): Promise<void> {
  const scope = AbortSignal.any([signal, AbortSignal.timeout(warmTimeoutMs)]);
  const response = await fetch(new URL("/", baseUrl), { signal: scope, redirect: "manual" });
  await response.arrayBuffer();
  // Node takes the connection back a turn of the event loop later.
  await setImmediate();
}

/** The SDK writes to the console about keys in the environment, which are none of its business. */
function quietly<T>(make: () => T): T {
  const { warn } = console;
  console.warn = () => undefined;
  try {
    return make();
  } finally {
    console.warn = warn;
  }
}

/** The SDK keeps no headers of a refusal, and `Retry-After` is one. */
function fetchFor(provider: string): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.ok) return response;
    const retryAfter = response.headers.get("retry-after");
    throw httpFault(provider, { status: response.status, retryAfter, body: await response.text() });
  };
}

type Call = { readonly sdk: Sdk; readonly provider: string; readonly request: GeminiRequest };

async function* stream(call: Call, signal: AbortSignal): AsyncGenerator<GeminiChunk> {
  throwIfAborted(signal);
  // Its own, for two reasons: the SDK leaves a listener on the signal it is given, and a reader that
  // leaves early would leave the answer's body open.
  const scope = new AbortController();
  const forget = onAbort(signal, () => scope.abort());
  try {
    for await (const chunk of await ask(call, scope.signal)) {
      throwIfAborted(signal);
      yield chunk;
    }
  } catch (error) {
    throwIfAborted(signal);
    throw kindOf(call.provider, error);
  } finally {
    forget();
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
      // Would be a second request that nobody asked for.
      automaticContinuation: false,
      ...(instruction === undefined ? {} : { systemInstruction: instruction }),
      ...(search ? { tools: [{ googleSearch: {} }] } : {}),
    },
  });
}

/** Errors within a stream that began well come as JSON behind a few words. */
function kindOf(provider: string, error: unknown): Error {
  if (!(error instanceof ApiError)) return thrownFault(provider, error);
  const body = error.message.slice(Math.max(0, error.message.indexOf("{")));
  return httpFault(provider, { status: error.status, body });
}

type LiveEars = {
  readonly socket: LiveSocket;
  readonly onMessage: (message: LiveMessage) => void;
};

async function openLive(sdk: Sdk, setup: LiveSetup, ears: LiveEars): Promise<LiveSession> {
  const session = await sdk.liveOn(ears.socket).connect({
    model: setup.model,
    config: configOf(setup),
    callbacks: { onmessage: ears.onMessage },
  });
  return {
    sendContents: (contents) =>
      session.sendClientContent({ turns: [...contents], turnComplete: true }),
    sendText: (text) => session.sendRealtimeInput({ text }),
    sendPicture: (video) => session.sendRealtimeInput({ video }),
  };
}

function configOf({ modality, instruction, search, voice, resumptionToken }: LiveSetup) {
  const speaks = modality === "audio";
  return {
    responseModalities: [speaks ? Modality.AUDIO : Modality.TEXT],
    // A token that is absent asks for one; one that is null is refused.
    sessionResumption: resumptionToken === undefined ? {} : { handle: resumptionToken },
    // Without it a session ends after a quarter of an hour of sound.
    contextWindowCompression: { slidingWindow: {} },
    ...(speaks ? { outputAudioTranscription: {} } : {}),
    ...(instruction === undefined ? {} : { systemInstruction: instruction }),
    ...(search ? { tools: [{ googleSearch: {} }] } : {}),
    ...(speaks && voice
      ? { speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } } }
      : {}),
  };
}
