/** How often something went well and ill since the start, and what went wrong last. */
export type Tally = {
  readonly succeeded: number;
  readonly failed: number;
  /** 0 to 1; absent before the first. */
  readonly successRate?: number;
  /** The last failure's message. */
  readonly lastError?: string;
};

/** Tallies by name. */
export type Tallies = {
  record(name: string, error?: Error): void;
  /** The tally of one name; zeros for a name that was never recorded. */
  read(name: string): Tally;
};

/** Makes an empty set of tallies. */
export function createTallies(): Tallies {
  const tallies = new Map<string, Tally>();
  const read = (name: string): Tally => tallies.get(name) ?? { succeeded: 0, failed: 0 };
  return {
    record(name, error) {
      const before = read(name);
      const succeeded = before.succeeded + (error ? 0 : 1);
      const failed = before.failed + (error ? 1 : 0);
      const lastError = error?.message ?? before.lastError;
      const successRate = succeeded / (succeeded + failed);
      tallies.set(name, { succeeded, failed, successRate, ...(lastError && { lastError }) });
    },
    read,
  };
}
