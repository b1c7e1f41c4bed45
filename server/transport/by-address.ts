import type { Socket } from "node:net";

/** How often something may happen for one address, across all of its connections. */
export type Rate = {
  /** As many at once. */
  readonly burst: number;
  /** As many in the long run. */
  readonly perSecond: number;
};

/** A rate's account of each address. */
export type RateByAddress = {
  /** Counts one. False if that is more than the rate allows; then it is not counted. */
  take(address: string): boolean;
};

// Who is forgotten first was not seen for longest, and has as a rule paid off long ago.
const MAX_ADDRESSES = 10_000;

/** Makes the account. It keeps 10,000 addresses at most. `now` is a clock in milliseconds. */
export function createRateByAddress(rate: Rate, now = () => performance.now()): RateByAddress {
  const accounts = new Map<string, { readonly spent: number; readonly atMs: number }>();
  return {
    take(address) {
      const atMs = now();
      const { spent, atMs: beforeMs } = accounts.get(address) ?? { spent: 0, atMs };
      const left = Math.max(0, spent - ((atMs - beforeMs) / 1000) * rate.perSecond);
      if (left + 1 > rate.burst) return false;
      // Taken out first, so that the map's order is that of the last visit.
      accounts.delete(address);
      accounts.set(address, { spent: left + 1, atMs });
      if (accounts.size > MAX_ADDRESSES) accounts.delete(accounts.keys().next().value ?? "");
      return true;
    },
  };
}

/**
 * The address that a connection comes from, as limits count it: of IPv6 the first 64 bits, which is
 * what one subscriber has, and IPv4 within IPv6 as IPv4.
 */
export function addressOf({ remoteAddress = "" }: Pick<Socket, "remoteAddress">): string {
  const address = remoteAddress.replace(/^::ffff:(?=[\d.]+$)/i, "");
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%", 1)[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const rest = tail ? tail.split(":") : [];
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - groups.length - rest.length }, () => "0");
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(":")}::/64`;
}
