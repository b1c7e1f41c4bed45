/** One provider took the place of another that had failed in the same turn. */
type Failover = {
  readonly from: string;
  readonly to: string;
  /** True if the first had begun, and the second went on from there. */
  readonly midway: boolean;
};

/** How often each switch came. */
export type Failovers = {
  record(change: Failover): void;
  /** In the order in which they first came. */
  read(): readonly (Failover & { readonly times: number })[];
};

/** Makes an empty count. */
export function createFailovers(): Failovers {
  const counts = new Map<string, Failover & { readonly times: number }>();
  return {
    record(change) {
      const { from, to, midway } = change;
      const key = JSON.stringify([from, to, midway]);
      counts.set(key, { from, to, midway, times: (counts.get(key)?.times ?? 0) + 1 });
    },
    read: () => [...counts.values()],
  };
}
