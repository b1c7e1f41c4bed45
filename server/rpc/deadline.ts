import type { IncomingHttpHeaders } from "node:http";

/** Node's timers hold 2^31 - 1 ms, 24.8 days. A longer one fires at once, with a warning. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000 };

/**
 * Shortens a client's deadline to what a timer can hold, in the request's own header. The RPC
 * adapter makes a timer of whatever the client asks for. Anything else in these headers, malformed
 * values included, is left to the adapter.
 */
export function clampDeadline(headers: IncomingHttpHeaders): void {
  const connectMs = headers["connect-timeout-ms"];
  if (typeof connectMs === "string" && /^\d{10}$/.test(connectMs)) {
    headers["connect-timeout-ms"] = String(Math.min(Number(connectMs), MAX_TIMER_MS));
  }
  const grpc = headers["grpc-timeout"];
  const [, count, unit = ""] = /^(\d{1,8})([HMS])$/.exec(String(grpc)) ?? [];
  if (Number(count) * (unitMs[unit] ?? 0) > MAX_TIMER_MS) {
    headers["grpc-timeout"] = `${Math.floor(MAX_TIMER_MS / 1000)}S`;
  }
}
