import { ProviderError, type ProviderErrorKind } from "../core/errors.ts";

/** How often a provider did well and ill since the start, and what went wrong last. */
export type CallStatistics = {
  readonly succeeded: number;
  readonly failed: number;
  /** 0 to 1; absent before the first call. */
  readonly successRate?: number;
  /** The last fault's message. */
  readonly lastError?: string;
  /** The last fault's category. */
  readonly lastErrorKind?: ProviderErrorKind;
  /**
   * There from a fault that somebody must mend (a key, a right, a name, a file), and not an outage,
   * to the next success.
   */
  readonly misconfigured?: true;
};

/** ProviderStatistics by name. */
export type ProviderStatistics = {
  /** Counts a call. */
  record(name: string, error?: Error): void;
  /**
   * Takes in a fault that no call has met: it is not counted. One that is no `ProviderError` is taken
   * for `misconfigured` if it kept the provider from starting.
   */
  note(name: string, error: unknown, isStart?: boolean): void;
  /** The tally of one name; zeros for a name that was never recorded. */
  read(name: string): CallStatistics;
};

/** Makes an empty set of statistics. */
export function createProviderStatistics(): ProviderStatistics {
  const statistics = new Map<string, CallStatistics>();
  const read = (name: string): CallStatistics =>
    statistics.get(name) ?? { succeeded: 0, failed: 0 };
  return {
    record(name, error) {
      const { misconfigured: _, ...before } = read(name);
      const succeeded = before.succeeded + (error ? 0 : 1);
      const failed = before.failed + (error ? 1 : 0);
      const successRate = succeeded / (succeeded + failed);
      statistics.set(name, { ...before, succeeded, failed, successRate, ...kindOf(error, false) });
    },
    note(name, error, isStart = false) {
      const { misconfigured: _, ...before } = read(name);
      statistics.set(name, { ...before, ...kindOf(error, isStart) });
    },
    read,
  };
}

type FaultFields = Pick<CallStatistics, "lastError" | "lastErrorKind" | "misconfigured">;

function kindOf(error: unknown, isStart: boolean): FaultFields {
  if (error === undefined) return {};
  if (!(error instanceof ProviderError)) {
    // What nobody foresaw may hold a path or another program's words.
    const lastError = `${isStart ? "cannot start" : "failed unexpectedly"}; the log says why`;
    return { lastError, ...(isStart && { misconfigured: true }) };
  }
  const { message, fault, misconfigured } = error;
  return { lastError: message, lastErrorKind: fault, ...(misconfigured && { misconfigured }) };
}
