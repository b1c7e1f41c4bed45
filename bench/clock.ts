/**
 * Milliseconds since some moment in the past that is the same in every process of this machine, so
 * that the load can set its own times beside the server's.
 */
export function nowMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
