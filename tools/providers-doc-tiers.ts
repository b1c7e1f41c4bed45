import { openLanguageModels, openSynthesizers } from "../server/adapters.ts";
import { InvalidConfig, readConfig } from "../server/config/config.ts";
import type { SpeechTier, TextTier } from "../server/config/provider-config.ts";
import { describeSettings } from "../server/config/settings.ts";
import { table } from "./api-docs/markdown.ts";

/** Properties of a tier that the code does not state. */
type Capability = {
  readonly speaks: string;
  readonly languages: string;
  readonly network: string;
  /** Matches the names of its own settings. */
  readonly settings: RegExp;
  /** What it needs in addition to settings. */
  readonly needs?: string;
};

const google = /^GEMINI_(API_KEY|BASE_URL|SEARCH)$/;

/** Text tiers, in the order of their defaults. */
export const textCapabilities: Readonly<Record<TextTier, Capability>> = {
  "gemini-live": {
    speaks: "audio and a transcript",
    languages: "the model's, many",
    network: "yes",
    settings: new RegExp(`${google.source}|^GEMINI_LIVE_`),
  },
  gemini: {
    speaks: "text deltas",
    languages: "the model's, many",
    network: "yes",
    settings: new RegExp(`${google.source}|^GEMINI_MODEL$`),
  },
  langchain: {
    speaks: "text deltas",
    languages: "the model's",
    network: "unless the server is local",
    settings: /^(LANGCHAIN|OPENAI)_|^GEMINI_(API_KEY|BASE_URL)$/,
  },
  agent: {
    speaks: "text deltas",
    languages: "the agent's",
    network: "the agent's",
    settings: /^(AGENT|NEIRA)_/,
  },
  offline: {
    speaks: "a fixed answer",
    languages: "a few phrases",
    network: "no",
    settings: /^$/,
  },
};

/** Speech tiers, in the order of their defaults. */
export const speechCapabilities: Readonly<Record<SpeechTier, Capability>> = {
  azure: {
    speaks: "streamed, 48 kHz",
    languages: "by voice, many",
    network: "yes",
    settings: /^AZURE_/,
  },
  edge: {
    speaks: "streamed, 24 kHz",
    languages: "by voice, many",
    network: "yes",
    settings: /^EDGE_/,
  },
  kokoro: {
    speaks: "by clause, 24 kHz",
    languages: "English",
    network: "no",
    settings: /^KOKORO_/,
    needs: "its files: `KOKORO_DIR`, or packages",
  },
  local: {
    speaks: "by clause, 44.1 kHz",
    languages: "English",
    network: "no",
    settings: /^$/,
  },
  command: {
    speaks: "streamed, at its own rate",
    languages: "the program's",
    network: "the program's",
    settings: /^SPEECH_COMMAND/,
  },
  tone: {
    speaks: "a hum, 48 kHz",
    languages: "any, without words",
    network: "no",
    settings: /^$/,
  },
};

/** Both tables of the tiers, as the code stands. */
export function tierTables(): string {
  const text = Object.entries(textCapabilities).map(([tier, { speaks, ...rest }]) => [
    `\`${tier}\``,
    speaks,
    rest.languages,
    rest.network,
    needOf("TEXT_TIERS", tier),
    settingsOf(rest),
  ]);
  const timed = timedVoices();
  const speech = Object.entries(speechCapabilities).map(([tier, { speaks, ...rest }]) => [
    `\`${tier}\``,
    speaks,
    timed.has(tier) ? "exact" : "estimated",
    rest.languages,
    rest.network,
    rest.needs ?? needOf("SPEECH_TIERS", tier),
    settingsOf(rest),
  ]);
  const end = ["Languages", "Network", "Needs", "Settings of its own"];
  return [
    ...table(["Text tier", "Yields", ...end], text),
    "",
    ...table(["Speech tier", "Speaks", "Word timings", ...end], speech),
  ].join("\n");
}

/** Settings of providers that no tier claims. */
export function unclaimedSettings(): readonly string[] {
  const all = [...Object.values(textCapabilities), ...Object.values(speechCapabilities)];
  return describeSettings()
    .map(({ name }) => name)
    .filter((name) =>
      /^(GEMINI|LANGCHAIN|OPENAI|AZURE|EDGE|KOKORO|SPEECH_COMMAND|AGENT|NEIRA)/.test(name),
    )
    .filter((name) => !all.some(({ settings }) => settings.test(name)));
}

/** Settings that let every tier open; no call is made with them. */
export const everyTier = {
  GEMINI_API_KEY: "none",
  GEMINI_LIVE_WARM_CONNECTIONS: "0",
  LANGCHAIN_MODEL: "openai:none",
  OPENAI_API_KEY: "none",
  AZURE_SPEECH_KEY: "none",
  AZURE_SPEECH_REGION: "none",
  EDGE_TTS_ENABLED: "true",
  KOKORO_DIR: "none",
  SPEECH_COMMAND: '["none"]',
} as const;

/** The tiers that the adapters open when everything is set, best first. */
export function openEveryTier() {
  const config = readConfig(everyTier);
  return {
    languageModels: openLanguageModels(config, { onError: () => undefined }),
    synthesizers: openSynthesizers(config),
  };
}

function timedVoices(): ReadonlySet<string> {
  const { synthesizers } = openEveryTier();
  return new Set(
    synthesizers.filter(({ hasWordTimings }) => hasWordTimings).map(({ name }) => name),
  );
}

/** What the gateway says is missing when only the tier is named. */
function needOf(setting: "TEXT_TIERS" | "SPEECH_TIERS", tier: string): string {
  try {
    readConfig({ [setting]: tier });
    return "–";
  } catch (error) {
    if (!(error instanceof InvalidConfig)) throw error;
    const names = /needs (.*)\.$/.exec(error.message)?.[1];
    if (names === undefined) throw new Error(`${tier} is no tier: ${error.message}`);
    return names.replaceAll(/[A-Z][\w=]+/g, "`$&`");
  }
}

function settingsOf({ settings }: Pick<Capability, "settings">): string {
  const names = describeSettings().filter(({ name }) => settings.test(name));
  return names.map(({ name }) => `\`${name}\``).join(", ") || "–";
}
