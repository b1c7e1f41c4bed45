import type { Settings } from "./settings.ts";

/** A name in `TEXT_TIERS`. */
export type TextTier = NonNullable<Settings["TEXT_TIERS"]>[number];
/** A name in `SPEECH_TIERS`. */
export type SpeechTier = NonNullable<Settings["SPEECH_TIERS"]>[number];

/** The providers' settings. A part is present if its tier can be used. */
export type ProviderConfig = {
  /** Best first, never empty. */
  readonly textTiers: readonly TextTier[];
  /** Best first, never empty. */
  readonly speechTiers: readonly SpeechTier[];
  /** Instructions for the assistant. */
  readonly systemPrompt: string;
  readonly gemini?: {
    readonly apiKey: string;
    readonly baseUrl?: string;
    readonly model: string;
    readonly liveModel: string;
    readonly liveVoice?: string;
    /** The size of the warm pool of Live connections. */
    readonly liveWarmConnections: number;
    /** Live connections that the account may have at once. */
    readonly liveMaxConnections?: number;
    readonly search: boolean;
  };
  readonly langchain?: {
    /** "google:NAME" or "openai:NAME". */
    readonly model: string;
    readonly googleApiKey?: string;
    readonly googleEndpoint?: string;
    readonly openaiApiKey?: string;
    readonly openaiBaseUrl?: string;
  };
  /** The local agent. Present if a program is named; its tier is used only if it is named as well. */
  readonly agent?: true;
  readonly azure?: {
    readonly apiKey: string;
    readonly region?: string;
    readonly host?: string;
    readonly voice: string;
  };
  readonly edge?: { readonly voice: string; readonly endpoint?: string };
  /** Without `dir`, installed packages are searched for its files. */
  readonly kokoro?: { readonly voice: string; readonly dir?: string };
  /** Whether local voices read every language as if it were English. */
  readonly transliterates: boolean;
  readonly command?: {
    /** What it speaks; any language if absent. */
    readonly languages?: readonly string[];
    readonly argv: readonly string[];
    readonly format: "wav" | { readonly sampleRateHz: number };
    /** The program's whole environment: what a program needs to run, without keys. */
    readonly env: Readonly<Record<string, string>>;
  };
};

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Collects the providers' settings. `all` is the environment, for the program's own variables. */
export function toProviderConfig(env: Settings, all: Environment): ProviderConfig {
  const parts = {
    ...gemini(env),
    ...langchain(env),
    ...((env.AGENT_COMMAND ?? env.AGENT_DIR) !== undefined && { agent: true as const }),
    ...azure(env),
    ...(env.EDGE_TTS_ENABLED && {
      edge: { voice: env.EDGE_TTS_VOICE, ...some("endpoint", env.EDGE_TTS_URL) },
    }),
    ...kokoro(env),
    ...command(env, all),
  };
  return {
    systemPrompt: env.SYSTEM_PROMPT,
    transliterates: env.SPEECH_TRANSLITERATE,
    ...parts,
    textTiers: env.TEXT_TIERS ?? [
      ...(parts.gemini ? (["gemini-live", "gemini"] as const) : []),
      ...(parts.langchain ? (["langchain"] as const) : []),
      "offline",
    ],
    speechTiers: env.SPEECH_TIERS ?? [
      ...(parts.azure ? (["azure"] as const) : []),
      ...(parts.edge ? (["edge"] as const) : []),
      ...(parts.kokoro ? (["kokoro"] as const) : []),
      "local",
      ...(parts.command ? (["command"] as const) : []),
      "tone",
    ],
  };
}

/** LangChain's settings that send every prompt and reply to a tracing service. */
const TRACING = ["LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2"];

/** Lists settings that would send conversations to a service outside these settings. */
export function findLeaks(config: ProviderConfig, all: Environment): readonly string[] {
  if (!config.textTiers.includes("langchain")) return [];
  return TRACING.filter((name) => all[name]?.toLowerCase() === "true").map(
    (name) => `${name} sends every prompt and reply to a tracing service. Unset it.`,
  );
}

/** The settings that a tier needs. */
const needs: Readonly<Record<string, { part: keyof ProviderConfig; settings: string }>> = {
  "gemini-live": { part: "gemini", settings: "GEMINI_API_KEY" },
  gemini: { part: "gemini", settings: "GEMINI_API_KEY" },
  langchain: { part: "langchain", settings: "LANGCHAIN_MODEL or GEMINI_API_KEY" },
  agent: { part: "agent", settings: "AGENT_COMMAND or AGENT_DIR" },
  azure: { part: "azure", settings: "AZURE_SPEECH_KEY and AZURE_SPEECH_REGION" },
  edge: { part: "edge", settings: "EDGE_TTS_ENABLED=true" },
  command: { part: "command", settings: "SPEECH_COMMAND" },
};

/** Lists named tiers that lack a setting, one per line. */
export function findMissingParts(config: ProviderConfig): readonly string[] {
  return [...config.textTiers, ...config.speechTiers].flatMap((tier) => {
    const need = needs[tier];
    if (need === undefined || config[need.part] !== undefined) return [];
    return [`The tier ${tier} needs ${need.settings}.`];
  });
}

function gemini(env: Settings): Pick<ProviderConfig, "gemini"> {
  if (env.GEMINI_API_KEY === undefined) return {};
  return {
    gemini: {
      apiKey: env.GEMINI_API_KEY,
      ...some("baseUrl", env.GEMINI_BASE_URL),
      model: env.GEMINI_MODEL,
      liveModel: env.GEMINI_LIVE_MODEL,
      ...some("liveVoice", env.GEMINI_LIVE_VOICE),
      liveWarmConnections: env.GEMINI_LIVE_WARM_CONNECTIONS,
      ...some("liveMaxConnections", env.GEMINI_LIVE_MAX_CONNECTIONS),
      search: env.GEMINI_SEARCH,
    },
  };
}

function langchain(env: Settings): Pick<ProviderConfig, "langchain"> {
  // The same model by another way: what fails is often not the model.
  const behindGemini = env.GEMINI_API_KEY && `google:${env.GEMINI_MODEL}`;
  const model = env.LANGCHAIN_MODEL ?? behindGemini;
  if (model === undefined) return {};
  return {
    langchain: {
      model,
      ...some("googleApiKey", env.GEMINI_API_KEY),
      ...some("googleEndpoint", env.GEMINI_BASE_URL),
      ...some("openaiApiKey", env.OPENAI_API_KEY),
      ...some("openaiBaseUrl", env.OPENAI_BASE_URL),
    },
  };
}

function azure(env: Settings): Pick<ProviderConfig, "azure"> {
  const where = env.AZURE_SPEECH_REGION ?? env.AZURE_SPEECH_HOST;
  if (env.AZURE_SPEECH_KEY === undefined || where === undefined) return {};
  return {
    azure: {
      apiKey: env.AZURE_SPEECH_KEY,
      ...some("region", env.AZURE_SPEECH_REGION),
      ...some("host", env.AZURE_SPEECH_HOST),
      voice: env.AZURE_VOICE_NAME,
    },
  };
}

/** Present if its folder or its tier is named. */
function kokoro(env: Settings): Pick<ProviderConfig, "kokoro"> {
  if (env.KOKORO_DIR === undefined && !env.SPEECH_TIERS?.includes("kokoro")) return {};
  return { kokoro: { voice: env.KOKORO_VOICE, ...some("dir", env.KOKORO_DIR) } };
}

/** Variables that programs need to find their libraries, files and language. */
export const PROGRAM_VARIABLES = /^(PATH|HOME|LANG|LC_\w+|TMPDIR|TEMP|TMP|SYSTEMROOT|XDG_\w+)$/i;

function command(env: Settings, all: Environment): Pick<ProviderConfig, "command"> {
  if (env.SPEECH_COMMAND === undefined) return {};
  const format = env.SPEECH_COMMAND_FORMAT;
  return {
    command: {
      argv: env.SPEECH_COMMAND,
      ...some("languages", env.SPEECH_COMMAND_LANGUAGES),
      format: format === "wav" ? "wav" : { sampleRateHz: format },
      env: pickVariables(all, PROGRAM_VARIABLES),
    },
  };
}

/** The variables whose names match. */
export function pickVariables(all: Environment, pattern: RegExp): Readonly<Record<string, string>> {
  const picked = Object.entries(all).flatMap(([name, value]) =>
    value !== undefined && pattern.test(name) ? [[name, value] as const] : [],
  );
  return Object.fromEntries(picked);
}

function some<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value>> {
  return (value === undefined ? {} : { [name]: value }) as Partial<Record<Name, Value>>;
}
