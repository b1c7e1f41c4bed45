import type { GeminiContent } from "./prompt.ts";

/** A message from a Live connection, in the vendor's format. */
export type LiveMessage = {
  readonly serverContent?: LiveContent;
  readonly goAway?: object;
  readonly sessionResumptionUpdate?: { readonly newHandle?: string; readonly resumable?: boolean };
};

/** The part of a Live message that belongs to a reply. `IN_PROGRESS`: the model thinks; more follows. */
export type LiveContent = {
  readonly modelTurn?: { readonly parts?: readonly LivePart[] };
  readonly outputTranscription?: { readonly text?: string; readonly finished?: boolean };
  readonly inputTranscription?: { readonly text?: string };
  readonly generationComplete?: boolean;
  readonly turnComplete?: boolean;
  readonly turnCompleteReason?: string;
  readonly interactionStatus?: string;
};

/** A piece of a Live reply. Audio is in base64. */
export type LivePart = {
  readonly thought?: boolean;
  readonly inlineData?: { readonly mimeType?: string; readonly data?: string };
};

/** Sends on a Live connection after its setup. */
export type LiveSession = {
  /** Messages in order. The model replies to them, unless more of the turn follows. */
  sendContents(contents: readonly GeminiContent[], more?: "more"): void;
  /** Text, which the model replies to at once; a picture; or speech, which it replies to at its end. */
  sendRealtime(input: LiveInput): void;
};

type LiveFile = { readonly mimeType: string; readonly data: string };

/** What is sent as it comes. Speech is PCM between a start and an end. */
type LiveInput =
  | { readonly text: string }
  | { readonly video: LiveFile }
  | { readonly audio: LiveFile }
  | { readonly activityStart: object }
  | { readonly activityEnd: object };
