import type { Reading } from "./child.ts";
import { nowMs } from "./clock.ts";
import type { TurnMarks } from "./pipeline-providers.ts";

/** What a server of the pipeline scenario tells the load about itself. */
export type PipelineReading = Reading & {
  /** What its providers did, by turn, since the reading before. */
  readonly marks: Readonly<Record<string, TurnMarks>>;
};

/** A server of the pipeline scenario, as its own process sees it. */
export type PipelineServer = {
  /** Where it listens. */
  readonly url: string;
  takeMarks(): Record<string, TurnMarks>;
  stop(): Promise<void>;
};

/**
 * Ties a running server to the load that forked this process, as `serveLoad` does: tells it the
 * URL, answers each of its messages with a `PipelineReading`, and ends the process when the load
 * lets go or dies.
 */
export function servePipeline(server: PipelineServer): void {
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    const rssBytes = process.memoryUsage.rss();
    const reading: PipelineReading = {
      atMs: nowMs(),
      cpuMs: (user + system) / 1000,
      rssBytes,
      peakRssBytes: rssBytes,
      cancelsMs: {},
      answers: {},
      marks: server.takeMarks(),
    };
    process.send?.(reading);
  });
  process.once("disconnect", async () => {
    await server.stop();
    process.exit(0);
  });
  process.send?.(server.url);
}
