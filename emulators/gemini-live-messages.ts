import type { GeminiMessage } from "./gemini.ts";

/** The first message of a connection. */
export type LiveSetup = {
  readonly model: string;
  readonly generationConfig?: {
    readonly responseModalities?: readonly string[];
    readonly speechConfig?: object;
  };
  readonly systemInstruction?: GeminiMessage;
  readonly tools?: readonly object[];
  readonly sessionResumption?: { readonly handle?: string };
  readonly outputAudioTranscription?: object;
  readonly inputAudioTranscription?: object;
  readonly realtimeInputConfig?: {
    readonly automaticActivityDetection?: { readonly disabled?: boolean };
  };
};

/** A picture, or a piece of sound, in the vendor's format. */
export type LiveBlob = { readonly mimeType: string; readonly data: string };

/** One turn sent to the Live service. */
export type GeminiLiveRequest = {
  /** The number of its connection, from 0. */
  readonly connection: number;
  readonly apiKey: string | null;
  readonly setup: LiveSetup;
  /** The messages; empty if the turn came as realtime text. */
  readonly contents: readonly GeminiMessage[];
  /** The realtime text. */
  readonly text: string | undefined;
  /** A realtime picture, in base64. */
  readonly picture: LiveBlob | undefined;
  /** What was said between `activityStart` and `activityEnd`; undefined if the turn came as text. */
  readonly speech: readonly LiveBlob[] | undefined;
  /** Earlier user texts of the server session, oldest first. */
  readonly heard: readonly string[];
};

/** What a client sends. */
export type ClientMessage = {
  readonly setup?: LiveSetup;
  readonly clientContent?: { turns?: readonly GeminiMessage[]; turnComplete?: boolean };
  readonly realtimeInput?: {
    text?: string;
    video?: LiveBlob;
    audio?: LiveBlob;
    activityStart?: object;
    activityEnd?: object;
  };
};
