import type { Socket } from "node:net";

/** What a connection speaks. */
export type Protocol = "h2" | "http1";

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Tells the protocol by a connection's first bytes: HTTP/2 begins with its preface, whatever else
 * comes is HTTP/1.1's to judge. Undefined while the bytes may still become a preface.
 */
export function protocolOf(bytes: Buffer): Protocol | undefined {
  const length = Math.min(bytes.length, preface.length);
  if (bytes.compare(preface, 0, length, 0, length) !== 0) return "http1";
  return length === preface.length ? "h2" : undefined;
}

/**
 * Waits for the first bytes of a fresh connection, puts them back, and calls `handOver` once. A
 * connection that ends, fails or takes longer than `timeoutMs` before that is destroyed, and
 * `handOver` is not called.
 */
export function sniff(
  socket: Socket,
  timeoutMs: number,
  handOver: (protocol: Protocol) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const giveUp = () => socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  const settle = () => {
    clearTimeout(timer);
    socket.off("readable", read).off("end", giveUp).off("close", settle);
  };
  const read = () => {
    const piece: Buffer | null = socket.read();
    if (piece === null) return;
    bytes = Buffer.concat([bytes, piece]);
    const protocol = protocolOf(bytes);
    if (protocol === undefined) return;
    settle();
    socket.unshift(bytes);
    handOver(protocol);
  };
  socket.on("readable", read).on("end", giveUp).on("close", settle);
}
