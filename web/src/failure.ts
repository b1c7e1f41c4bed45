import { Code, ConnectError } from "@connectrpc/connect";
import { t } from "./messages.ts";

/**
 * What ended a turn, in words for a person.
 * - `failed`: the words are to be sent again.
 * - `interrupted`: someone asked for silence. What was received is not played on.
 * - `unspoken`: the text is whole; a voice for it is missing.
 */
export type Failure = {
  readonly kind: "failed" | "interrupted" | "unspoken";
  readonly title: string;
  readonly detail: string;
};

const titles: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: t.failedInvalid,
  [Code.ResourceExhausted]: t.failedLimit,
  [Code.DeadlineExceeded]: t.failedDeadline,
  [Code.Unavailable]: t.failedUnavailable,
  [Code.Unauthenticated]: t.failedToken,
  [Code.PermissionDenied]: t.failedDenied,
  [Code.Unimplemented]: t.failedNoGateway,
  [Code.Canceled]: t.failedCancelled,
};

const defaults: Partial<Record<Code, string>> = {
  [Code.ResourceExhausted]: t.adviceWait,
  [Code.DeadlineExceeded]: t.adviceShorter,
  [Code.Unavailable]: t.adviceAgain,
};

/** The header or trailer in which the gateway says why it cancelled a turn, or which part is missing. */
export const reasonKey = "parley-reason";

/**
 * Explains an error that ended a turn. `told` is what the gateway said about it in the stream;
 * `begun` is whether any content had come.
 */
export function explain(error: unknown, told: string | undefined, begun: boolean): Failure {
  const failure = ConnectError.from(error);
  if (isBroken(failure)) return lost(begun);
  const reason = failure.metadata.get(reasonKey);
  if (failure.code === Code.Canceled && reason === "interrupted") {
    return { kind: "interrupted", title: t.interrupted, detail: t.interruptedDetail };
  }
  if (begun && reason === "language") {
    return { kind: "unspoken", title: t.noVoiceForLanguage, detail: t.textIsWhole };
  }
  if (begun && reason === "no_voice") {
    return { kind: "unspoken", title: t.noVoice, detail: t.textIsWhole };
  }
  return {
    kind: "failed",
    title: title(failure.code, begun),
    detail: gatewaysWords(told || failure.rawMessage) || (defaults[failure.code] ?? ""),
  };
}

/** The gateway speaks English, whatever the page does. */
function gatewaysWords(words: string): string {
  return words && t.gatewaySays(words);
}

function title(code: Code, begun: boolean): string {
  if (begun && code === Code.Unavailable) return t.failedBrokeOff;
  return titles[code] ?? t.failedFault;
}

/**
 * Whether the connection was refused or broke. The browser tells of it by a TypeError, and a stream that
 * ends without its trailer was cut off.
 */
export function isBroken({ cause, rawMessage }: ConnectError): boolean {
  if (cause instanceof TypeError) return true;
  return /^(missing (trailer|EndStreamResponse)|.*incomplete envelope)$/.test(rawMessage);
}

function lost(begun: boolean): Failure {
  return begun
    ? { kind: "failed", title: t.lostMidway, detail: t.lostMidwayDetail }
    : { kind: "failed", title: t.unreachable, detail: t.unreachableDetail };
}
