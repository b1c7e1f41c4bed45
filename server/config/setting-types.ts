import { isIP } from "node:net";
import { z } from "zod";
import { logLevels, logRooms } from "../telemetry/logger.ts";

/** A TCP port, 0 for a free one. */
export const port = z.coerce.number().int().min(0).max(65535);
/** A whole number from `min` to `max`. */
export const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
/** Seconds, more than 0. */
export const seconds = (max: number) => z.coerce.number().positive().max(max);
/** true, yes, on, 1 and their opposites, in any case. */
export const flag = z.stringbool();
/** A secret; its value is never repeated in an error. */
export const key = z
  .string()
  .regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces")
  .optional();
/** An address of HTTP. */
export const httpUrl = z.url({ protocol: /^https?$/ }).optional();
/** An address of HTTP or of WebSocket. */
export const url = z.url({ protocol: /^(https?|wss?)$/ }).optional();
/** Where a database is: a file, or a libSQL server. */
export const databaseUrl = z
  .string()
  .regex(
    /^(file:[^\s?#]+|(libsql|https?|wss?):\/\/\S+)$/,
    "must be file:PATH, or an address of libsql:, http:, https:, ws: or wss:",
  )
  .refine(
    (text) => !text.startsWith("file::memory:"),
    "must not be in memory: nothing would be kept",
  )
  .optional();
/** An address of Redis. What is wrong with it is said without repeating it: it may hold a password. */
export const redisUrl = z
  .string()
  .refine(
    isRedisUrl,
    "must be redis://HOST:PORT or rediss://HOST:PORT, with USER:PASSWORD@ and /DATABASE where needed, and nothing after that",
  )
  .optional();
/** Where objects are kept: a folder, or a bucket with or without a prefix. */
export const blobStore = z
  .string()
  .regex(
    /^(s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[\w.-]+)*\/?|(?![a-z][a-z0-9+.-]*:\/\/).+)$/is,
    "must be a folder, or s3://BUCKET or s3://BUCKET/PREFIX",
  )
  .optional();
/** An address of HTTP; the scheme may be omitted, as in MinIO's settings. */
export const endpoint = z
  .string()
  .transform((text) => (text.includes("://") ? text : `http://${text}`))
  .pipe(z.url({ protocol: /^https?$/ }))
  .optional();
/** Comma-separated items. Blank ones are dropped. */
export const list = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);
/** Languages, as the first part of BCP 47 tags; not empty. */
export const languages = list.pipe(
  z.array(z.string().regex(/^[a-z]{2,3}$/, "must be a language: ru")).min(1),
);
/** A list of these names, not empty, each at most once. */
export const tiers = <Name extends string>(...names: [Name, ...Name[]]) =>
  list.pipe(
    z
      .array(z.enum(names))
      .min(1)
      .superRefine((items, context) => {
        const twice = new Set(items.filter((item, index) => items.indexOf(item) !== index));
        for (const item of twice) {
          context.addIssue({ code: "custom", message: `names ${item} twice; name each tier once` });
        }
      }),
  );
/** A list of these names, each at most once, or `none` alone for an empty list. */
export const doors = <Name extends string>(...names: [Name, ...Name[]]) =>
  z
    .literal("none")
    .transform((): Name[] => [])
    .or(tiers(...names));
/** A region of Azure: letters, digits and hyphens, as it stands in host names. */
export const region = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/i, "must be a region's short name, no path or title: westeurope")
  .optional();
/** A list whose items are checked by a rule that returns the problem with an item, if any. */
export const checkedList = (
  findProblem: (item: string, all: readonly string[]) => string | undefined,
) =>
  list.superRefine((items, context) => {
    for (const item of items) {
      const message = findProblem(item, items);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    }
  });
/** A program and its arguments, as JSON. */
export const argv = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({
        code: "custom",
        message: 'must be a JSON array: ["espeak-ng", "--stdout"]',
      });
      return z.NEVER;
    }
  })
  .pipe(z.array(z.string().min(1)).min(1));
/** The error for an invalid `AUDIO_CHUNK_MS`. */
export const chunkRule = "must be a whole number of milliseconds from 32 to 1000";
/** An address or a network. */
export const network = z.string().refine(isNetwork, "must be an address or a network: 10.0.0.0/8");
/** Python's level names, which the replaced systems use. */
const pythonLevels: Readonly<Record<string, string>> = {
  warning: "warn",
  critical: "fatal",
  notset: "trace",
};
/** A log level, in any case, also by Python's name. */
const logLevel = z
  .string()
  .transform((text) => text.trim().toLowerCase())
  .transform((level) => pythonLevels[level] ?? level)
  .pipe(z.enum(logLevels));
/** A log level, and those of rooms that have another one: `info,providers=debug`. */
export const logLevelsByRoom = z
  .string()
  .transform((text) => {
    const items = text.split(",").filter((item) => item.trim() !== "");
    const isRoom = (item: string) => item.includes("=");
    const rooms = items.filter(isRoom).map((item) => {
      const [name = "", ...level] = item.split("=");
      return [name.trim().toLowerCase(), level.join("=")] as const;
    });
    const [level = "info", ...more] = items.filter((item) => !isRoom(item));
    return { level: more.length > 0 ? text : level, rooms: Object.fromEntries(rooms) };
  })
  .pipe(z.object({ level: logLevel, rooms: z.partialRecord(z.enum(logRooms), logLevel) }));
/** Pairs of a name and a value, percent-encoded: `a=1,b=2`. Values are never repeated in an error. */
export const pairs = z.string().transform((text, context) => {
  const all: Record<string, string> = {};
  for (const item of text.split(",").filter((each) => each.trim() !== "")) {
    const at = item.indexOf("=");
    try {
      if (at < 1) throw new Error("no name");
      all[item.slice(0, at).trim()] = decodeURIComponent(item.slice(at + 1).trim());
    } catch {
      context.addIssue({ code: "custom", message: "must be pairs, percent-encoded: name=value,…" });
      return z.NEVER;
    }
  }
  return all;
});
/** WAV, or the rate of raw samples in Hz. */
export const speechFormat = z.union([z.literal("wav"), count(8000, 192_000)]);

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}

function isRedisUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^rediss?:$/.test(url.protocol) || url.hostname === "") return false;
  if (url.port === "0" || !/^(\/\d{0,5})?$/.test(url.pathname)) return false;
  if (url.search !== "" || url.hash !== "") return false;
  // A percent sign of a password that was not encoded cannot be read back.
  return [url.username, url.password].every((part) => {
    try {
      return decodeURIComponent(part) !== undefined;
    } catch {
      return false;
    }
  });
}
