import { Code, ConnectError } from "@connectrpc/connect";

/** What went wrong in a call to the gateway at `url`, in words for the person at the terminal. */
export function explain(error: unknown, url: string): string {
  if (!(error instanceof ConnectError)) return error instanceof Error ? error.message : `${error}`;
  if (causes(error).some((cause) => isNodeError(cause, "ECONNREFUSED"))) {
    return `No gateway answers at ${url}. Start one with npm start.`;
  }
  const message = error.rawMessage;
  switch (error.code) {
    case Code.InvalidArgument:
      return `The gateway refuses the request: ${message}.`;
    case Code.ResourceExhausted:
      return `The gateway is busy: ${message}.`;
    case Code.Unavailable:
      return `The gateway cannot answer now: ${message}.`;
    case Code.DeadlineExceeded:
      return `The gateway gave up: ${message}.`;
    case Code.Canceled:
      return `The turn was ended from elsewhere: ${message}.`;
    case Code.Unimplemented:
    case Code.NotFound:
      return `What answers at ${url} is not a Parley gateway: ${message}.`;
    default:
      return `The call failed: ${error.message}.`;
  }
}

function* causes(error: unknown): Generator<unknown> {
  for (let cause = error; cause instanceof Error; cause = cause.cause) yield cause;
}

function isNodeError(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
