import type { Rate } from "../core/token-buckets.ts";

/** What a port allows a client, and for how long. */
export type PortLimits = {
  /** Connections at once. Further ones are closed without an answer. */
  readonly maxConnections: number;
  /** Connections of one address at once. Further ones are closed without an answer. */
  readonly maxConnectionsPerAddress: number;
  /** How long a new connection may take to show its protocol. */
  readonly firstBytesTimeoutMs: number;
  /** HTTP/1.1: how long the request line and header may take to arrive. */
  readonly headersTimeoutMs: number;
  /** How long the whole request may take to arrive. The response may take longer. */
  readonly requestTimeoutMs: number;
  /** HTTP/1.1: requests that may wait behind another one. One more closes the connection. */
  readonly maxPipelined: number;
  /** HTTP/1.1: how long a connection stays open between requests. */
  readonly keepAliveTimeoutMs: number;
  /** A response is cut off when its client takes nothing of it for this long. */
  readonly stallTimeoutMs: number;
  /**
   * HTTP/2: how often connections are pinged and checked. A client that sends nothing between two
   * pings is disconnected.
   */
  readonly pingIntervalMs: number;
  /**
   * HTTP/2: a connection without a stream for this long is closed, even if it pings. Checked every
   * `pingIntervalMs`.
   */
  readonly idleTimeoutMs: number;
  /**
   * HTTP/2: pings and cancelled requests of one address, over all its connections. The connection
   * that exceeds the rate is closed (ENHANCE_YOUR_CALM).
   */
  readonly pings: Rate;
  readonly resets: Rate;
  /**
   * HTTP/2: pings and cancelled requests that each connection may send in a `pingIntervalMs` outside
   * of these rates, so that one abusive client does not disconnect others at its address.
   */
  readonly freePerInterval: number;
  /** Header bytes of one request. */
  readonly maxHeaderBytes: number;
  /** HTTP/2: streams at once on one connection. */
  readonly maxStreams: number;
  /** HTTP/2: unread bytes of one request body. */
  readonly streamWindowBytes: number;
  /** HTTP/2: unread bytes of all request bodies of a connection. */
  readonly connectionWindowBytes: number;
  /**
   * HTTP/2: mebibytes of memory for one connection, including what its client has not read. A
   * connection above it is closed. It must suffice for `maxStreams` slow readers behind one proxy.
   */
  readonly maxSessionMebibytes: number;
};

/**
 * The default limits. `keepAliveTimeoutMs` is longer than the 60 s of common proxies, so that they
 * never send into a connection that is being closed. The windows are a compromise: on a line of 30 ms
 * a screenshot takes half the time it would with HTTP/2's default of 64 KiB, and a client that sends
 * one frame for each byte blocks the gateway for a few tenths of a second at most.
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
