import type { Socket } from "node:net";

/** One protocol of a port: a server that never listens, and is given the sockets that speak it. */
export type ProtocolServer = {
  /** Takes a connection whose first bytes wait to be read. */
  accept(socket: Socket): void;
  /** Starts the timers that watch over its connections. They do not keep the process alive. */
  start(): void;
  /** Closes idle connections and asks the others to leave. May be called again as they fall idle. */
  drain(): void;
  /** Ends the timers. Connections are left to the port. */
  stop(): void;
};
