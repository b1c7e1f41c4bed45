import { Code, ConnectError } from "@connectrpc/connect";
import { oneLine, ProviderError } from "../core/errors.ts";
import type { ProviderErrorKind } from "../core/outcomes.ts";

/** Trailer with the method of a call that failed. */
export const CHANNEL_TRAILER = "parley-channel";
/** Trailer with the time at which a call failed, in RFC 3339. */
export const TIME_TRAILER = "parley-time";

/** Codes by which an agent answers a caller. Their messages are meant for it. */
const answers: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.ResourceExhausted,
  Code.FailedPrecondition,
  Code.Aborted,
  Code.OutOfRange,
  Code.Unauthenticated,
]);

/** What became of a call, as its caller may know it. */
export type CallFailure = {
  readonly code: Code;
  readonly message: string;
  /** Whether the agent is to blame. Else it did its work by refusing. */
  readonly counts: boolean;
  /** For the tiers of a turn. */
  readonly kind: ProviderErrorKind;
};

/** Judges what a call threw. Messages of an agent that did not mean to answer are not passed on. */
export function judge(error: unknown): CallFailure {
  const thrown = ConnectError.from(error);
  if (!isFromAgent(thrown)) return judgeOwn(thrown);
  const { code, rawMessage } = thrown;
  if (answers.has(code)) {
    const message = oneLine(rawMessage) || "the agent refused";
    return { code, message, counts: false, kind: kindOf(code) };
  }
  switch (code) {
    case Code.Unimplemented:
      return { code, message: "unimplemented", counts: false, kind: "unsupported" };
    case Code.Unavailable:
    case Code.Canceled:
      return failure(Code.Unavailable, "the agent is not available", "connectivity");
    case Code.DeadlineExceeded:
      return failure(code, "the agent ran out of time", "timeout");
    default:
      return failure(Code.Internal, "the agent failed", "server");
  }
}

/** What the gateway's own side of the connection found. */
function judgeOwn({ code, rawMessage }: ConnectError): CallFailure {
  if (code === Code.DeadlineExceeded) {
    return failure(code, "the agent did not answer in time", "timeout");
  }
  if (/^(HTTP \d|unsupported content type)/.test(rawMessage)) {
    return failure(Code.Internal, "the agent did not answer in gRPC", "server");
  }
  if (code === Code.InvalidArgument || rawMessage.startsWith("parse binary")) {
    return failure(Code.Internal, "the agent's answer cannot be read", "protocol");
  }
  if (code === Code.ResourceExhausted) {
    return failure(Code.Internal, "the agent's answer is too large", "protocol");
  }
  return failure(Code.Unavailable, "the agent was lost during the call", "connectivity");
}

function failure(code: Code, message: string, kind: ProviderErrorKind): CallFailure {
  return { code, message, counts: true, kind };
}

/** Whether the agent sent an error. gRPC's status is among the metadata of those that it sends. */
export function isFromAgent(error: Error): boolean {
  if (!(error instanceof ConnectError)) return false;
  return error.metadata.has("grpc-status") || error.metadata.has("grpc-status-details-bin");
}

function kindOf(code: Code): ProviderErrorKind {
  switch (code) {
    case Code.Unauthenticated:
      return "authentication";
    case Code.PermissionDenied:
      return "authorization";
    case Code.ResourceExhausted:
      return "rate_limit";
    default:
      return "refused";
  }
}

/** The same as an error of the tier `agent`. Nothing that the agent wrote is in it. */
export function tierError({ kind, message, code }: Omit<CallFailure, "counts">): ProviderError {
  const own = answers.has(code) ? "the agent refused the prompt" : message;
  return new ProviderError("agent", kind, own);
}

/** A call's error for its caller: a status, the method and the time. Its cause is the tier's error. */
export function callError(channel: string, failure: Omit<CallFailure, "counts">): ConnectError {
  const trailers = { [CHANNEL_TRAILER]: channel, [TIME_TRAILER]: new Date().toISOString() };
  const cause = tierError(failure);
  return new ConnectError(failure.message, failure.code, trailers, undefined, cause);
}

/** Nothing was called. `message` is in the gateway's own words. */
export function unavailable(channel: string, message: string): ConnectError {
  return callError(channel, { code: Code.Unavailable, message, kind: "connectivity" });
}

/** The reason of a call whose time is over. */
export function tooLate(): ConnectError {
  return new ConnectError("the deadline has passed", Code.DeadlineExceeded);
}

/** The reason of a call whose connection ended before its answer did. */
export function connectionLost(): ConnectError {
  return new ConnectError("the connection was lost", Code.Unavailable);
}

/** The caller may not call the method. */
export function refused(channel: string, message: string): ConnectError {
  return callError(channel, { code: Code.PermissionDenied, message, kind: "authorization" });
}
