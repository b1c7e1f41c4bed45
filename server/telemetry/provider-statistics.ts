import { ProviderError, type ProviderFault } from "../core/errors.ts";

/** How often a provider did well and ill since the start, and what went wrong last. */
export type Tally = {
  readonly succeeded: number;
  readonly failed: number;
  /** 0 to 1; absent before the first call. */
  readonly successRate?: number;
  /** The last fault's message. */
  readonly lastError?: string;
  /** The last fault's category. */
  readonly lastFault?: ProviderFault;
  /**
   * There from a fault that somebody must mend (a key, a right, a name, a file), and not an outage,
   * to the next success.
   */
  readonly misconfigured?: true;
};

/** Tallies by name. */
export type Tallies = {
  /** Counts a call. */
  record(name: string, error?: Error): void;
  /**
   * Takes in a fault that no call has met: it is not counted. One that is no `ProviderError` is taken
   * for `misconfigured` if it kept the provider from starting.
   */
  note(name: string, error: unknown, isStart?: boolean): void;
  /** The tally of one name; zeros for a name that was never recorded. */
  read(name: string): Tally;
};

/** Makes an empty set of tallies. */
export function createTallies(): Tallies {
  const tallies = new Map<string, Tally>();
  const read = (name: string): Tally => tallies.get(name) ?? { succeeded: 0, failed: 0 };
  return {
    record(name, error) {
      const { misconfigured: _, ...before } = read(name);
      const succeeded = before.succeeded + (error ? 0 : 1);
      const failed = before.failed + (error ? 1 : 0);
      const successRate = succeeded / (succeeded + failed);
      tallies.set(name, { ...before, succeeded, failed, successRate, ...faultOf(error, false) });
    },
    note(name, error, isStart = false) {
      const { misconfigured: _, ...before } = read(name);
      tallies.set(name, { ...before, ...faultOf(error, isStart) });
    },
    read,
  };
}

type FaultFields = Pick<Tally, "lastError" | "lastFault" | "misconfigured">;

function faultOf(error: unknown, isStart: boolean): FaultFields {
  if (error === undefined) return {};
  if (!(error instanceof ProviderError)) {
    return { lastError: messageOf(error), ...(isStart && { misconfigured: true }) };
  }
  const { message, fault, misconfigured } = error;
  return { lastError: message, lastFault: fault, ...(misconfigured && { misconfigured }) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
