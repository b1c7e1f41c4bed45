import type { PortResponse } from "./request.ts";

/**
 * Makes sure that whoever writes a response learns that its client left, and always by the same
 * error: one with the code ECONNRESET, which the RPC adapter takes for what it is and keeps quiet
 * about.
 */
export function reportClientDisconnect(response: PortResponse): void {
  const write: LooseWrite = response.write.bind(response);
  const reporting: LooseWrite = (chunk, ...rest) => write(chunk, ...rest.map(translate));
  response.write = reporting as typeof response.write;
  // An error on a response concerns its writer. With no writer left it must not end the process.
  response.on("error", () => undefined);
  response.once("close", () => process.nextTick(wakeWriter, response));
}

/** `write` with its overloads laid aside: an encoding, a callback, both or none. */
type LooseWrite = (chunk: string, ...rest: never[]) => boolean;

// What a write fails with that was under way when the connection or the stream was closed.
const disconnectCodes = new Set<unknown>(["ECANCELED", "EPIPE"]);

function translate(argument: unknown): never {
  if (typeof argument !== "function") return argument as never;
  const translating = (error: unknown) =>
    argument(isClientDisconnect(error) ? clientDisconnected(error) : error);
  return translating as never;
}

function isClientDisconnect(error: unknown): boolean {
  return error instanceof Error && "code" in error && disconnectCodes.has(error.code);
}

function clientDisconnected(cause?: unknown): Error {
  const error = new Error("the client left before it took the whole response", { cause });
  return Object.assign(error, { code: "ECONNRESET" });
}

/**
 * Fails the write of a writer that still waits for `drain` on a closed response. Node may say
 * `close` alone (it does to HTTP/1.1 responses queued behind another one), the adapter does not
 * listen for it, and its handler would stay parked for ever.
 */
function wakeWriter(response: PortResponse): void {
  if (response.listenerCount("drain") > 0) response.emit("error", clientDisconnected());
}
