import type { ProviderError } from "../core/errors.ts";
import type { CallEnd, CallStart, TierOutcome } from "../telemetry/activity.ts";
import type { CallObserver } from "../telemetry/turn-observer.ts";
import type { Tier } from "./tier.ts";

/** Who hears of a call. */
type Listener = Pick<CallStart, "kind"> & {
  readonly onOutcome?: (outcome: TierOutcome) => void;
  readonly onCall?: (call: CallStart) => CallObserver;
};

/**
 * Asks the breaker of a tier for a call, and tells it and the listener how the call ended. A call that
 * was not admitted has no outcome.
 */
export function createCallReport(
  { kind, onOutcome, onCall }: Listener,
  { provider, breaker }: Tier<{ readonly name: string }>,
) {
  const { name: tier } = provider;
  const admitted = breaker.admit();
  const openedMs = performance.now();
  const sinceMs = () => performance.now() - openedMs;
  let isReported = !admitted;
  let failure: ProviderError | undefined;
  let observer: CallObserver | undefined;
  let firstPartMs: number | undefined;
  return {
    isAdmitted: admitted !== undefined,
    isReported: () => isReported,
    sinceMs,
    /** The call is made. Returns its place in its trace. */
    open(): string | undefined {
      observer = onCall?.({ tier, kind });
      return observer?.traceparent;
    },
    /** Its first part counts. */
    begin() {
      firstPartMs = sinceMs();
    },
    /** It ended well, or with an error. Only the first report counts. */
    report(error?: ProviderError) {
      if (isReported) return;
      isReported = true;
      failure = error;
      if (error) admitted?.fail(error);
      else admitted?.succeed();
      onOutcome?.({ tier, ...(error && { error }) });
    },
    /** It is over. If that was not reported, nobody knows how it would have ended. */
    close(usage: Pick<CallEnd, "characters" | "audioSeconds" | "facts"> | undefined) {
      if (!isReported) admitted?.forget();
      observer?.end({
        ...(failure && { error: failure }),
        isCancelled: !isReported,
        durationMs: sinceMs(),
        ...(firstPartMs !== undefined && { firstPartMs }),
        ...(usage ?? { characters: 0, audioSeconds: 0 }),
      });
    },
  };
}
