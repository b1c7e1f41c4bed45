import type { IncomingHttpHeaders } from "node:http";
import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { onAbort } from "../core/async.ts";

const DEFAULT_SECONDS = 30;
const HOUR_SECONDS = 3600;

/** Seconds that a call may take, for methods with another limit than `DEFAULT_SECONDS`. */
const methodSeconds: Readonly<Record<string, number>> = {
  // A turn has a clock of its own, which stands still while its client listens (MAX_PROCESSING_TIME).
  "/streaming.StreamingService/StreamAudio": HOUR_SECONDS,
  "/streaming.StreamingService/GenerateWelcomeAudio": HOUR_SECONDS,
  // Files of many minutes take their time.
  "/audioanalyzer.AudioAnalysis/AnalyzeAudio": 300,
  // Its client asks again.
  "/grpc.health.v1.Health/Watch": HOUR_SECONDS,
};

/** More than the agent's own limit, which says more when it is reached. */
const AGENT_EXTRA_MS = 5000;

/** Milliseconds that a call of this path may take, whatever deadline its client sets. */
export function maxCallMs(path: string, agentTimeoutMs: number): number {
  if (path.startsWith("/neira.agent.")) return agentTimeoutMs + AGENT_EXTRA_MS;
  return (methodSeconds[path] ?? DEFAULT_SECONDS) * 1000;
}

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Gives a request the deadline that the RPC adapter enforces, in its header: the client's own, or
 * `maxMs` if that is sooner or the client has none. The adapter judges malformed values.
 */
export function limitDeadline(headers: IncomingHttpHeaders, maxMs: number): void {
  const isGrpc = headers["content-type"]?.startsWith("application/grpc");
  const name = isGrpc ? "grpc-timeout" : "connect-timeout-ms";
  const sent = headers[name];
  const clientMs = isGrpc ? grpcMs(String(sent)) : connectMs(String(sent));
  const isMalformed = sent !== undefined && clientMs === undefined;
  if (isMalformed || (clientMs !== undefined && clientMs <= maxMs)) return;
  headers[name] = `${maxMs}${isGrpc ? "m" : ""}`;
}

function grpcMs(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (unitMs[unit] ?? 0);
}

function connectMs(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** How long a handler may take to end once its deadline has passed, or its client disconnected. */
const END_GRACE_MS = 1000;

/**
 * Ends calls whose handler ignores its signal: they fail with the signal's reason `END_GRACE_MS` after
 * it fired. A handler that ends by itself says more.
 */
export const endOnTime: Interceptor = (next) => async (request) => {
  const late = followSignal(request.signal);
  const response = await late.race(next(request)).catch((error: unknown) => {
    late.dispose();
    throw error;
  });
  if (response.stream) return { ...response, message: endEach(response.message, late) };
  late.dispose();
  return response;
};

type Late = ReturnType<typeof followSignal>;

function followSignal(signal: AbortSignal) {
  let timer: NodeJS.Timeout | undefined;
  let fail: (error: ConnectError) => void = () => undefined;
  const dispose = onAbort(signal, (reason) => {
    timer = setTimeout(() => fail(ConnectError.from(reason)), END_GRACE_MS).unref();
  });
  return {
    /** The promise's result, or the signal's reason if it takes too long. One at a time. */
    race<Result>(promise: Promise<Result>): Promise<Result> {
      return new Promise((resolve, reject) => {
        fail = reject;
        promise.then(resolve, reject);
      });
    },
    dispose() {
      dispose();
      clearTimeout(timer);
    },
  };
}

async function* endEach<Message>(
  messages: AsyncIterable<Message>,
  late: Late,
): AsyncGenerator<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await late.race(iterator.next());
      if (done) return;
      yield value;
    }
  } finally {
    late.dispose();
    // Not awaited: one that is stuck never returns.
    void iterator.return?.()?.then(undefined, () => undefined);
  }
}
