import { pino } from "pino";
import { type LogBuffer, openStandardError } from "./log-buffer.ts";

/** What a log line is about. Never what a user or a model said, nor a key or a token. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes one line for each event at or above its level. */
export type Logger = {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
};

/** Levels of the log, the most talkative first. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** One of `logLevels`. */
export type LogLevel = (typeof logLevels)[number];

/** Rooms whose level can be set apart. Each line names its room. */
export const logRooms = [
  "access",
  "agent",
  "analysis",
  "cluster",
  "conversation",
  "doors",
  "http",
  "memory",
  "providers",
  "storage",
  "telemetry",
  "transport",
  "updates",
] as const;

/** One of `logRooms`. */
type LogRoom = (typeof logRooms)[number];

/** Levels of rooms that have one of their own. */
export type RoomLevels = Partial<Record<LogRoom, LogLevel>>;

/** The logger of a gateway. */
export type GatewayLogger = Logger & {
  /** A logger whose lines name the room. The same one for each call. */
  room(name: LogRoom): Logger;
};

/** How a log is written. */
export type LoggerOptions = {
  readonly rooms?: RoomLevels;
  /** Standard error if absent. Standard output belongs to the start line. */
  readonly output?: Pick<LogBuffer, "write">;
};

/** A logger that writes JSON, one object a line. */
export function createLogger(
  level: LogLevel,
  { rooms = {}, output = openStandardError() }: LoggerOptions = {},
): GatewayLogger {
  const root = pino({ level, base: null }, output);
  const children = new Map<LogRoom, Logger>();
  const room = (name: LogRoom) => {
    const child = children.get(name) ?? root.child({ room: name }, { level: rooms[name] ?? level });
    children.set(name, child);
    return child;
  };
  return Object.assign(root, { room });
}

/** A logger with rooms; of one that has none, all rooms are the logger itself. */
export function withRooms(logger: Logger | GatewayLogger): GatewayLogger {
  return "room" in logger ? logger : { ...logger, room: () => logger };
}

/**
 * Makes an output that writes lines for a reader: time, level, message, then the fields. Loaded for a
 * terminal alone.
 */
export async function prettyOutput(
  output: Pick<LogBuffer, "write">,
  { colors = true }: { readonly colors?: boolean } = {},
): Promise<Pick<LogBuffer, "write">> {
  const { default: pretty } = await import("pino-pretty");
  const format = pretty.prettyFactory({
    colorize: colors,
    singleLine: true,
    translateTime: "SYS:HH:MM:ss.l",
  });
  return { write: (line) => output.write(format(line)) };
}
