import { Code, ConnectError } from "@connectrpc/connect";

/** What went wrong, in words for a person. */
export type Failure = {
  readonly title: string;
  readonly detail: string;
  /** True if what was received should not be played on: someone asked for silence. */
  readonly silence: boolean;
};

const titles: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: "The gateway did not accept the request.",
  [Code.ResourceExhausted]: "The gateway has reached a limit.",
  [Code.DeadlineExceeded]: "The reply took too long.",
  [Code.Unavailable]: "No reply can be had right now.",
  [Code.Unauthenticated]: "This gateway wants a token, and this page has none.",
  [Code.PermissionDenied]: "This gateway does not allow that.",
  [Code.Unimplemented]: "There is no Parley gateway at this address.",
  [Code.Canceled]: "The reply was cancelled.",
};

const defaults: Partial<Record<Code, string>> = {
  [Code.ResourceExhausted]: "Wait a moment, then send again.",
  [Code.DeadlineExceeded]: "Send again, or ask for something shorter.",
  [Code.Unavailable]: "Send again in a moment.",
};

/** The header or trailer in which the gateway says why it cancelled a turn. */
const reasonKey = "parley-reason";

/**
 * Explains an error that ended a turn. `told` is what the gateway said about it in the stream;
 * `begun` is whether any content had come.
 */
export function explain(error: unknown, told: string | undefined, begun: boolean): Failure {
  const failure = ConnectError.from(error);
  if (broken(failure)) return lost(begun);
  if (failure.code === Code.Canceled && failure.metadata.get(reasonKey) === "interrupted") {
    return {
      title: "The reply was interrupted.",
      detail: "Something else asked this device to fall silent.",
      silence: true,
    };
  }
  return {
    title: title(failure.code, begun),
    detail: told || failure.rawMessage || (defaults[failure.code] ?? ""),
    silence: false,
  };
}

function title(code: Code, begun: boolean): string {
  if (begun && code === Code.Unavailable) return "The reply broke off.";
  return titles[code] ?? "The gateway ran into a fault.";
}

// The browser tells of a refused or broken connection by a TypeError, and a stream that ends
// without its trailer was cut off.
function broken({ cause, rawMessage }: ConnectError): boolean {
  if (cause instanceof TypeError) return true;
  return /^(missing (trailer|EndStreamResponse)|.*incomplete envelope)$/.test(rawMessage);
}

function lost(begun: boolean): Failure {
  return begun
    ? {
        title: "The connection to the gateway was lost.",
        detail: "The reply is not complete. Send again when the gateway is back.",
        silence: false,
      }
    : {
        title: "The gateway cannot be reached.",
        detail: "Check that it is running, then send again.",
        silence: false,
      };
}
