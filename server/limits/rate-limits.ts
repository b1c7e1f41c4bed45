import { LimitExceeded, type LimitName } from "../core/errors.ts";
import { createTokenBuckets, type Rate, type SharedBuckets } from "../core/token-buckets.ts";

/** The limits on requests and bytes. */
type RateLimitName = Extract<LimitName, `${"address" | "device"}_${"requests" | "bytes"}`>;

/** How much a device may send. An address, which devices may share, has ten times as much. */
export type RateLimitOptions = {
  /** Requests a second. 0: any number. */
  readonly requestsPerSecond: number;
  /** Bytes of requests a second. 0: any number. */
  readonly bytesPerSecond: number;
  /** Absent: this gateway counts alone. */
  readonly shared?: SharedBuckets | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
};

/** What one request, or one connection of messages, uses of the limits. */
export type Meter = {
  /** Counts bytes that came. They are refused with the next request: this one goes on. */
  charge(bytes: number): void;
  /** Counts the request for its device, once. Throws `LimitExceeded`. */
  bind(deviceId: string): void;
  /** Counts one more message on the same connection as a request. Throws `LimitExceeded`. */
  message(bytes: number): void;
};

/** The limits on requests and bytes of a gateway. */
export type RateLimits = {
  /**
   * Counts a request for its address. Undefined: an address that is not counted. Throws `LimitExceeded`.
   */
  open(address: string | undefined): Meter;
  /** Requests that were refused since the start, by limit. */
  refused(): Readonly<Partial<Record<RateLimitName, number>>>;
};

/** What may be taken at once, in seconds of what may be taken in the long run. */
const BURST_SECONDS = 10;
const ADDRESS_SHARE = 10;
/** Longer ids break the contract: they are refused where they are read. */
const MAX_KEY_LENGTH = 256;

/** Creates the limits. Nobody has taken anything. */
export function createRateLimits(options: RateLimitOptions): RateLimits {
  const { requestsPerSecond, bytesPerSecond } = options;
  const refused: Partial<Record<RateLimitName, number>> = {};
  const limit = (name: RateLimitName, perSecond: number) =>
    createLimit(name, { burst: perSecond * BURST_SECONDS, perSecond }, options);
  const ofAddress = {
    requests: limit("address_requests", requestsPerSecond * ADDRESS_SHARE),
    bytes: limit("address_bytes", bytesPerSecond * ADDRESS_SHARE),
  };
  const ofDevice = {
    requests: limit("device_requests", requestsPerSecond),
    bytes: limit("device_bytes", bytesPerSecond),
  };
  const admit = ({ requests, bytes }: typeof ofAddress, key: string) => {
    try {
      bytes.check(key);
      requests.take(key);
    } catch (error) {
      if (error instanceof RateExceeded) refused[error.limit] = (refused[error.limit] ?? 0) + 1;
      throw error;
    }
  };
  return {
    open(address) {
      if (address !== undefined) admit(ofAddress, address);
      let deviceId: string | undefined;
      let chargedBytes = 0;
      const charge = (bytes: number) => {
        chargedBytes += bytes;
        if (address !== undefined) ofAddress.bytes.charge(address, bytes);
        if (deviceId !== undefined) ofDevice.bytes.charge(deviceId, bytes);
      };
      return {
        charge,
        bind(id) {
          if (id === deviceId || id === "" || id.length > MAX_KEY_LENGTH) return;
          admit(ofDevice, id);
          ofDevice.bytes.charge(id, chargedBytes);
          deviceId = id;
        },
        message(bytes) {
          if (address !== undefined) admit(ofAddress, address);
          if (deviceId !== undefined) admit(ofDevice, deviceId);
          charge(bytes);
        },
      };
    },
    refused: () => ({ ...refused }),
  };
}

/** A refusal by one of these limits. */
class RateExceeded extends LimitExceeded {
  declare readonly limit: RateLimitName;
}

/** One limit: a bucket for each key. */
type Limit = {
  /** Takes one token. Throws `LimitExceeded`. */
  take(key: string): void;
  /** Throws `LimitExceeded` if the bucket is empty. */
  check(key: string): void;
  charge(key: string, tokens: number): void;
};

const noLimit: Limit = { take: () => undefined, check: () => undefined, charge: () => undefined };

function createLimit(
  name: RateLimitName,
  rate: Rate,
  { shared, now }: Pick<RateLimitOptions, "shared" | "now">,
): Limit {
  if (rate.perSecond === 0) return noLimit;
  const buckets = createTokenBuckets(rate, now);
  const spend = (key: string, tokens: number) =>
    shared?.spend({ name, key, rate }, tokens, (missing) => buckets.atLeast(key, missing));
  const refuse = (waitMs: number) => {
    if (waitMs > 0) throw exceeded(name, waitMs);
  };
  return {
    take(key) {
      refuse(buckets.take(key));
      spend(key, 1);
    },
    check: (key) => refuse(buckets.waitMs(key)),
    charge(key, tokens) {
      if (tokens === 0) return;
      buckets.charge(key, tokens);
      spend(key, tokens);
    },
  };
}

/** No word that makes a client offer a purchase: more of this is not for sale. */
function exceeded(name: RateLimitName, waitMs: number): RateExceeded {
  const [who, what] = name.split("_");
  const seconds = Math.ceil(waitMs / 1000);
  return new RateExceeded(
    `too many ${what} from this ${who}; retry in ${seconds} s`,
    name,
    seconds * 1000,
  );
}
