import type { Rate } from "./by-address.ts";

/** How much, and for how long, a port lets a client have. */
export type PortLimits = {
  /** Connections at once. One more is closed unheard. */
  readonly maxConnections: number;
  /** Connections of one address at once. One more is closed unheard. */
  readonly maxConnectionsPerAddress: number;
  /** A connection that has not told its protocol within this time is closed. */
  readonly firstBytesTimeoutMs: number;
  /** HTTP/1.1: request line and header must be complete within this time. */
  readonly headersTimeoutMs: number;
  /** The whole request must have arrived within this time. The response may take longer. */
  readonly requestTimeoutMs: number;
  /** HTTP/1.1: requests that may wait behind another one on their connection. */
  readonly maxPipelined: number;
  /** HTTP/1.1: how long a connection is kept between requests. */
  readonly keepAliveTimeoutMs: number;
  /** A response of which the client takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
  /** HTTP/2: a client that is not heard for one such interval, in spite of a ping, is gone. */
  readonly pingIntervalMs: number;
  /** HTTP/2: a connection without a request for this long is closed, however often it pings. */
  readonly idleTimeoutMs: number;
  /**
   * HTTP/2: pings, and requests taken back, of one address, across all of its connections. The
   * connection that goes beyond is sent away (ENHANCE_YOUR_CALM).
   */
  readonly pings: Rate;
  readonly resets: Rate;
  /**
   * HTTP/2: as many of either are free for each connection between two `pingIntervalMs`, so that one
   * that goes beyond takes nobody with it who shares its address.
   */
  readonly freePerInterval: number;
  /** Bytes of header of one request. */
  readonly maxHeaderBytes: number;
  /** HTTP/2: requests at once on one connection. */
  readonly maxStreams: number;
  /** HTTP/2: bytes of one request's body that may be under way unread. */
  readonly streamWindowBytes: number;
  /** HTTP/2: bytes of all bodies of one connection that may be under way. */
  readonly connectionWindowBytes: number;
  /**
   * HTTP/2: mebibytes that one connection may hold, what its client has not read yet included. A
   * connection above it is closed: it must do for `maxStreams` slow readers behind one proxy.
   */
  readonly maxSessionMebibytes: number;
};

/**
 * What a port does unless told otherwise. `keepAliveTimeoutMs` outlives the 60 s for which common
 * proxies keep a connection, so that they never send into one that is just being closed. The
 * windows are a compromise: a screenshot comes in half the time that HTTP/2's own 64 KiB allow on a
 * line of 30 ms, and a client that sends a frame for every byte occupies the gateway for some tenths
 * of a second at most at a stretch.
 */
export const defaultLimits: PortLimits = {
  maxConnections: 4096,
  maxConnectionsPerAddress: 1024,
  firstBytesTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  maxPipelined: 100,
  keepAliveTimeoutMs: 65_000,
  stallTimeoutMs: 10_000,
  pingIntervalMs: 30_000,
  idleTimeoutMs: 600_000,
  pings: { burst: 1000, perSecond: 50 },
  resets: { burst: 2000, perSecond: 200 },
  freePerInterval: 10,
  maxHeaderBytes: 16 * 1024,
  maxStreams: 256,
  streamWindowBytes: 128 * 1024,
  connectionWindowBytes: 256 * 1024,
  maxSessionMebibytes: 64,
};
