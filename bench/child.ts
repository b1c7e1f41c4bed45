import { nowMs } from "./clock.ts";

/** What a server under test tells the load about itself. */
export type Reading = {
  /** When it was read, by `nowMs`. */
  readonly atMs: number;
  /** CPU time of the whole process since its start. */
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** The largest RSS seen since the reading before. */
  readonly peakRssBytes: number;
  /** When the signals of cancelled turns fired, by turn, since the reading before. */
  readonly cancelsMs: Readonly<Record<string, number>>;
  /** How many calls each of its providers has answered. */
  readonly answers: Readonly<Record<string, number>>;
  /** The longest that its event loop was held since the reading before, if it is watched. */
  readonly stallMs?: number;
};

/** A server under test, as its own process sees it. */
export type ServerUnderTest = {
  /** Where it listens. */
  readonly url: string;
  /** Where others listen that act as one with it. */
  readonly others?: readonly string[];
  takeCancels(): Record<string, number>;
  answers(): Record<string, number>;
  /** The longest that the event loop was held since the call before, in milliseconds. */
  takeStallMs?(): number;
  /** The CPU time and memory of the process that serves, if it is not this one. */
  readUsage?(): Usage;
  stop(): Promise<void>;
};

/** What a process has taken of the machine. */
type Usage = Pick<Reading, "cpuMs" | "rssBytes">;

/** The kernel's own peak would do, but it begins with what the parent process had. */
const RSS_INTERVAL_MS = 100;

/**
 * Ties a running server to the load that forked this process: tells it the URL, then answers each
 * of its messages with a `Reading`, and ends the process when the load lets go or dies.
 */
export function serveLoad(server: ServerUnderTest): void {
  let peakRssBytes = 0;
  const { readUsage = readOwnUsage } = server;
  const sample = () => {
    const usage = readUsage();
    peakRssBytes = Math.max(peakRssBytes, usage.rssBytes);
    return usage;
  };
  setInterval(sample, RSS_INTERVAL_MS).unref();
  process.on("message", () => {
    const usage = sample();
    const reading: Reading = {
      atMs: nowMs(),
      ...usage,
      peakRssBytes,
      cancelsMs: server.takeCancels(),
      answers: server.answers(),
      ...(server.takeStallMs && { stallMs: server.takeStallMs() }),
    };
    peakRssBytes = 0;
    process.send?.(reading);
  });
  process.once("disconnect", async () => {
    await server.stop();
    process.exit(0);
  });
  process.send?.([server.url, ...(server.others ?? [])].join(" "));
}

function readOwnUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage.rss() };
}
