import type { Socket } from "node:net";
import { addressOf } from "./by-address.ts";
import type { ProtocolServer } from "./protocol-server.ts";
import { type Protocol, sniff } from "./sniff.ts";

/** The open connections of a port. */
export type Connections = {
  /** Takes a fresh connection and hands it on as soon as it tells what it speaks. */
  accept(socket: Socket): void;
  /** Closes those that do nothing, and asks the others to leave. May be called again. */
  drain(): void;
  /** Closes all of them, whatever they do. */
  destroy(): void;
  count(): number;
  /** Resolves as soon as none is open. */
  gone(): Promise<void>;
};

/** What the connections of a port are bound to. */
export type ConnectionLimits = {
  readonly firstBytesTimeoutMs: number;
  readonly maxConnectionsPerAddress: number;
  /** Whether an address stands for many clients, so that none of its limits applies. */
  readonly isProxy: (address: string) => boolean;
};

/** Keeps the connections of a port, and gives each to the protocol server of its protocol. */
export function createConnections(
  protocolServers: Readonly<Record<Protocol, ProtocolServer>>,
  limits: ConnectionLimits,
): Connections {
  const open = new Set<Socket>();
  const perAddress = new Map<string, number>();
  const silent = new Set<Socket>();
  let onGone: (() => void) | undefined;

  return {
    accept(socket) {
      const address = addressOf(socket);
      const siblings = perAddress.get(address) ?? 0;
      if (siblings >= limits.maxConnectionsPerAddress && !limits.isProxy(address)) {
        socket.destroy();
        return;
      }
      perAddress.set(address, siblings + 1);
      open.add(socket);
      silent.add(socket);
      // A connection's error ends it, and nothing else. Whoever works on it hears of its close.
      socket.on("error", () => undefined);
      socket.once("close", () => {
        open.delete(socket);
        silent.delete(socket);
        const left = (perAddress.get(address) ?? 1) - 1;
        if (left > 0) perAddress.set(address, left);
        else perAddress.delete(address);
        if (open.size === 0) onGone?.();
      });
      sniff(socket, limits.firstBytesTimeoutMs, (protocol) => {
        silent.delete(socket);
        protocolServers[protocol].accept(socket);
      });
    },
    drain() {
      for (const socket of silent) socket.destroy();
      protocolServers.http1.drain();
      protocolServers.h2.drain();
    },
    destroy() {
      for (const socket of open) socket.destroy();
    },
    count: () => open.size,
    async gone() {
      const { promise, resolve } = Promise.withResolvers<void>();
      onGone = resolve;
      if (open.size > 0) await promise;
    },
  };
}
