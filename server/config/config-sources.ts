import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { parseEnv } from "node:util";
import type { Environment } from "./provider-config.ts";
import { settings } from "./settings.ts";

/** Where the settings come from: the environment, and the file that `CONFIG_FILE` names. */
export type Sources = {
  /** By current names, without blank values. The environment overrides the file. */
  readonly values: Environment;
  /** The old name of each setting that was set by one. */
  readonly oldNames: ReadonlyMap<string, string>;
  /** Warnings about settings without effect. */
  readonly warnings: readonly string[];
  /** Why the file is unreadable. */
  readonly problems: readonly string[];
};

/** Old names of settings, most of them of the systems that this one replaces. */
const renamed: Readonly<Record<string, string>> = {
  GRPC_HOST: "HOST",
  REQUEST_TIMEOUT: "MAX_PROCESSING_TIME",
  MAX_ACTIVE_SESSIONS: "MAX_SESSIONS",
  GEMINI_SYSTEM_PROMPT: "SYSTEM_PROMPT",
  GEMINI_PRIMARY_MODEL: "GEMINI_MODEL",
  WEB_SEARCH_ENABLED: "GEMINI_SEARCH",
  USE_EDGE_TTS: "EDGE_TTS_ENABLED",
  EDGE_TTS_VOICE_NAME: "EDGE_TTS_VOICE",
  MINIO_ENDPOINT: "S3_ENDPOINT",
  MINIO_ACCESS_KEY: "AWS_ACCESS_KEY_ID",
  MINIO_SECRET_KEY: "AWS_SECRET_ACCESS_KEY",
  AWS_DEFAULT_REGION: "AWS_REGION",
  // Of this gateway's first version.
  GEMINI_LIVE_SPARES: "GEMINI_LIVE_WARM_CONNECTIONS",
};

/** Settings of those systems without a meaning here, and why. */
const retired: Readonly<Record<string, string>> = {
  SESSION_CLEANUP_DELAY: "a turn is freed when it ends",
  GLOBAL_INTERRUPT_ENABLED: "an interrupt always works",
  INTERRUPT_TIMEOUT: "an interrupt takes effect at once",
  LOG_TIMING: "the log line of a turn has its times; see LOG_REQUESTS",
};

/** The same by pattern. In an environment these names are too common to warn about. */
const retiredFamilies: readonly (readonly [RegExp, string])[] = [
  [/^CONFIG_FILE$/, "only the environment can name it"],
  [/INTERRUPT/, "an interrupt takes effect at once"],
  [/^(HTTP|UPDATE)_HOST$/, "HOST is the address of every port"],
  [/^DB_/, "PostgreSQL is not used"],
  [/^(STRIPE|SUBSCRIPTION|PAYMENT)_/, "there is no billing"],
  [/^(BROWSER|MESSAGES|WHATSAPP)_|^FORWARD_ASSISTANT_ACTIONS$/, "the assistant only speaks"],
  [
    /^(AUDIO_|CHUNK_SIZE$|SAMPLE_RATE$|STREAMING_|AZURE_AUDIO_FORMAT$)/,
    "sound is always 48 kHz mono int16; see AUDIO_CHUNK_MS",
  ],
  [/^(AZURE|EDGE_TTS)_\w*(STYLE|RATE|PITCH|VOLUME)$/, "a voice speaks as it is"],
  [
    /^(IMAGE_|GEMINI_LIVE_(TEMPERATURE|MAX_TOKENS|TOOLS)$)|^TEXT_PROCESSING_/,
    "fixed; see TEXT_TIERS and GEMINI_SEARCH",
  ],
  [/^(CIRCUIT_BREAKER|FALLBACK)_/, "fixed; see TEXT_TIMEOUT and SPEECH_TIMEOUT"],
  [/^MAX_(WORKERS|REQUESTS_PER_\w+|MEMORY_USAGE)$/, "see MAX_SESSIONS and MAX_CONCURRENT_REQUESTS"],
  [/^LOG_/, "the log goes to standard error; see LOG_LEVEL and LOG_REQUESTS"],
  [/^MEMORY_|_TERM_MEMORY_SIZE$/, "fixed; see MEMORY_ENABLED"],
  [/^REDIS_/, "see REDIS_URL"],
  [/^(SESSION_|TLS_|DATABASE_|ANALYSIS_)/, "not in this version"],
];

/** Reads the environment and its `CONFIG_FILE` and translates old names. Never throws. */
export function readSources(env: Environment): Sources {
  const file = readFile(env["CONFIG_FILE"]?.trim());
  const own = translate(env);
  const old = translate(file.values);
  const values = { ...old.values, ...own.values };
  const warnings = [
    ...ignoredWarning(findIgnored(env, file.values, { ...old.overridden, ...own.overridden })),
    ...suggestions([...Object.keys(env), ...Object.keys(file.values)]),
  ];
  const exposed = own.values["HOST"] === undefined && old.oldNames.get("HOST") === "GRPC_HOST";
  if (exposed && !isLoopback(values["HOST"] ?? "") && values["AUTH_MODE"] === undefined) {
    warnings.push(
      `GRPC_HOST ${values["HOST"]} of CONFIG_FILE is reachable from other machines, and the gateway has no authentication, so HOST is 127.0.0.1. Set AUTH_MODE=token or jwt to ask for tokens, or AUTH_MODE=open to allow everyone.`,
    );
    values["HOST"] = "127.0.0.1";
  }
  const oldNames = new Map([...old.oldNames, ...own.oldNames]);
  for (const name of Object.keys(own.values)) if (!own.oldNames.has(name)) oldNames.delete(name);
  return { values, oldNames, warnings, problems: file.problems };
}

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function readFile(path: string | undefined): Pick<Sources, "values" | "problems"> {
  if (!path) return { values: {}, problems: [] };
  try {
    // An editor may have put a byte order mark before the first name.
    return { values: parseEnv(readFileSync(path, "utf8").replace(/^\uFEFF/, "")), problems: [] };
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    return { values: {}, problems: [`CONFIG_FILE cannot be read (${code}).`] };
  }
}

type Translated = {
  readonly values: Record<string, string>;
  readonly oldNames: Map<string, string>;
  /** Old names that are set beside their new ones, which override them. */
  readonly overridden: Readonly<Record<string, string>>;
};

/** Translates one source to current names. An empty value counts as unset, as in `${NAME:-}`. */
function translate(source: Environment): Translated {
  const isSet = (name: string) => (source[name] ?? "").trim() !== "";
  const values: Record<string, string> = {};
  for (const name of Object.keys(settings.shape))
    if (isSet(name)) values[name] = source[name] ?? "";
  const oldNames = new Map<string, string>();
  const overridden: Record<string, string> = {};
  for (const [oldName, name] of Object.entries(renamed)) {
    if (!isSet(oldName) || isAuto(oldName, source)) continue;
    if (values[name] !== undefined) {
      overridden[oldName] = `${name} is set`;
      continue;
    }
    values[name] = source[oldName] ?? "";
    oldNames.set(name, oldName);
  }
  return { values, oldNames, overridden };
}

/** "auto" let the old server choose the address. */
function isAuto(name: string, source: Environment): boolean {
  return name === "GRPC_HOST" && source[name]?.trim().toLowerCase() === "auto";
}

/** Settings without effect, by reason. */
function findIgnored(
  env: Environment,
  file: Environment,
  overridden: Readonly<Record<string, string>>,
): ReadonlyMap<string, readonly string[]> {
  const names = new Set([...Object.keys(env).filter(isOld), ...Object.keys(file)]);
  const reasons = new Map<string, string[]>();
  for (const name of names) {
    const reason = overridden[name] ?? reasonAgainst(name);
    if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  return reasons;
}

function isOld(name: string): boolean {
  return name in renamed || name in retired;
}

function reasonAgainst(name: string): string | undefined {
  if (name in settings.shape && name !== "CONFIG_FILE") return undefined;
  if (name in renamed || nearestSetting(name) !== undefined) return undefined;
  const family = retiredFamilies.find(([pattern]) => pattern.test(name));
  return retired[name] ?? family?.[1] ?? "not a setting of this gateway";
}

function ignoredWarning(reasons: ReadonlyMap<string, readonly string[]>): string[] {
  if (reasons.size === 0) return [];
  const parts = [...reasons].map(([reason, names]) => `${names.join(", ")} (${reason})`);
  return [`These settings have no effect: ${parts.join("; ")}.`];
}

function suggestions(names: readonly string[]): string[] {
  return [...new Set(names)].flatMap((name) => {
    const near = nearestSetting(name);
    return near === undefined ? [] : [`${name} is not a setting. Did you mean ${near}?`];
  });
}

/** The setting that an unknown name misses by one letter. */
function nearestSetting(name: string): string | undefined {
  if (name in settings.shape || isOld(name)) return undefined;
  const known = [...Object.keys(settings.shape), ...Object.keys(renamed)];
  return known.find((each) => isOneLetterOff(name, each));
}

/** One letter is added, missing or different, or two neighbours are swapped. */
function isOneLetterOff(a: string, b: string): boolean {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const isSwapped = a[at] === b[at + 1] && a[at + 1] === b[at];
  return (
    a.slice(at + 1) === b.slice(at + 1) ||
    a.slice(at + 1) === b.slice(at) ||
    a.slice(at) === b.slice(at + 1) ||
    (isSwapped && a.slice(at + 2) === b.slice(at + 2))
  );
}
