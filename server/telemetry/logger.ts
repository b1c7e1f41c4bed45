import { pino } from "pino";
import { type LogBuffer, openStandardError } from "./log-buffer.ts";

/** What a log line is about. Never what a user or a model said, nor a key or a token. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes one JSON line for each event at or above its level. */
export type Logger = {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
};

/** A logger to standard error, unless an output is given. Standard output belongs to the start line. */
export function createLogger(
  level: string,
  output: Pick<LogBuffer, "write"> = openStandardError(),
): Logger {
  return pino({ level, base: null }, output);
}
