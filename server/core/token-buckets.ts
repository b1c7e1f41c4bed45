/** How much one key may take of something. */
export type Rate = {
  /** Tokens that it may take at once. */
  readonly burst: number;
  /** Tokens a second that it may take in the long run. */
  readonly perSecond: number;
};

/** One of the buckets that several gateways share. */
export type SharedBucket = {
  /** What is limited. */
  readonly name: string;
  readonly key: string;
  readonly rate: Rate;
};

/** Buckets that several gateways share. */
export type SharedBuckets = {
  /**
   * Tells the others what was taken from a bucket. `onMissing` gets how many tokens all of them have
   * taken, where that becomes known. Never throws, and nothing waits for it.
   */
  spend(bucket: SharedBucket, tokens: number, onMissing: (missing: number) => void): void;
};

/** Token buckets by key, in this process. */
export type TokenBuckets = {
  /**
   * Takes tokens. Returns 0; or, and then takes nothing, the milliseconds until the bucket holds as many.
   * They are infinite if it never will.
   */
  take(key: string, tokens?: number): number;
  /** Milliseconds until the bucket holds a token; 0 if it holds one now. */
  waitMs(key: string): number;
  /** Takes tokens that were spent already. The bucket may come to owe them. */
  charge(key: string, tokens: number): void;
  /** Learns that at least so many tokens are missing from the bucket: others share it. */
  atLeast(key: string, missing: number): void;
};

const MAX_KEYS = 10_000;

/**
 * Creates full buckets for at most `maxKeys` keys. The key that was not used for longest is dropped first:
 * its bucket is usually full again. `now` is a clock in milliseconds.
 */
export function createTokenBuckets(
  { burst, perSecond }: Rate,
  now = () => performance.now(),
  maxKeys = MAX_KEYS,
): TokenBuckets {
  const buckets = new Map<string, { readonly missing: number; readonly atMs: number }>();
  const missingOf = (key: string) => {
    const bucket = buckets.get(key);
    if (bucket === undefined) return 0;
    return Math.max(0, bucket.missing - ((now() - bucket.atMs) / 1000) * perSecond);
  };
  const set = (key: string, missing: number) => {
    // Removed first, so that the map keeps the order of use.
    buckets.delete(key);
    buckets.set(key, { missing, atMs: now() });
    if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value ?? "");
  };
  const waitMs = (key: string, tokens = 1) => {
    const tooMany = missingOf(key) + tokens - burst;
    return tooMany > 0 ? (tooMany / perSecond) * 1000 : 0;
  };
  return {
    take(key, tokens = 1) {
      const wait = waitMs(key, tokens);
      if (wait === 0) set(key, missingOf(key) + tokens);
      return wait;
    },
    waitMs: (key) => waitMs(key),
    charge: (key, tokens) => set(key, missingOf(key) + tokens),
    atLeast(key, missing) {
      if (missing > missingOf(key)) set(key, missing);
    },
  };
}
