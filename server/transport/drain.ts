import { once } from "node:events";
import type { Server } from "node:net";
import type { Connections } from "./connections.ts";

/**
 * Closes a listening server and its connections: new ones are refused at once, idle ones closed,
 * busy ones get `graceMs` and are then destroyed. Resolves when the last one is closed.
 */
export async function close(
  listener: Server,
  connections: Connections,
  graceMs: number,
): Promise<void> {
  const closed = once(listener, "close");
  listener.close();
  connections.drain();
  const timer = setTimeout(connections.destroy, graceMs);
  await closed;
  clearTimeout(timer);
  // The listener takes a connection for closed as soon as its closing begins.
  await connections.gone();
}
