import type { Readable } from "node:stream";
import { oneLine } from "../core/errors.ts";
import type { LogFields } from "../telemetry/logger.ts";

/** Takes what an agent writes. */
export type OutputLog = (fields: LogFields, message: string) => void;

/** More than an agent has to say. What floods its output is dropped, and the rest can still be read. */
const LINES_A_SECOND = 50;
/** The agent's next write waits until the second is over. */
const BYTES_A_SECOND = 1024 * 1024;
const MAX_LINE_BYTES = 8 * 1024;
const SECOND_MS = 1000;

/**
 * Reads an agent's output line by line: into the log as fields, and to `onLine`, which gets every line.
 * A line beyond 8 KiB is cut into several. Of a flood it logs 50 lines a second and how many it dropped,
 * and reads 1 MiB a second, so that it costs the gateway little.
 */
export function followLines(
  stream: Readable,
  name: "stdout" | "stderr",
  log: OutputLog,
  onLine: (line: string) => void = () => undefined,
): void {
  let rest = "";
  let isCounting = false;
  const second = { bytes: 0, lines: 0 };

  const endSecond = () => {
    isCounting = false;
    const dropped = second.lines - LINES_A_SECOND;
    if (dropped > 0) log({ stream: name, dropped }, "agent output dropped");
    second.bytes = 0;
    second.lines = 0;
    stream.resume();
  };
  const take = (line: string) => {
    onLine(line);
    if (line.trim() === "") return;
    second.lines += 1;
    if (second.lines <= LINES_A_SECOND) log({ stream: name, line: oneLine(line) }, "agent output");
  };
  stream.setEncoding("utf8");
  stream.on("error", () => undefined);
  stream.on("data", (text: string) => {
    if (!isCounting) setTimeout(endSecond, SECOND_MS).unref();
    isCounting = true;
    second.bytes += text.length;
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
    if (rest.length > MAX_LINE_BYTES) {
      take(rest);
      rest = "";
    }
    if (second.bytes > BYTES_A_SECOND) stream.pause();
  });
  stream.once("end", () => take(rest));
}
