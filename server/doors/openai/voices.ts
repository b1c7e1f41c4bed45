/** Each of OpenAI's voices, and the voice of Microsoft's that speaks for it: one for every language. */
const voices: Readonly<Record<string, string | undefined>> = {
  // What most clients name that do not care: the voice in the settings.
  alloy: undefined,
  ash: "en-US-AndrewMultilingualNeural",
  ballad: "en-US-BrianMultilingualNeural",
  cedar: "en-US-AndrewMultilingualNeural",
  coral: "en-US-EmmaMultilingualNeural",
  echo: "en-US-BrianMultilingualNeural",
  fable: "en-US-AndrewMultilingualNeural",
  marin: "en-US-AvaMultilingualNeural",
  nova: "en-US-EmmaMultilingualNeural",
  onyx: "en-US-BrianMultilingualNeural",
  sage: "en-US-AvaMultilingualNeural",
  shimmer: "en-US-EmmaMultilingualNeural",
  verse: "en-US-AndrewMultilingualNeural",
};

/** Finds the voice to speak with; undefined for each tier's own. */
export type VoiceRule = (name: string | undefined) => string | undefined;

/**
 * Creates the rule for voices. OpenAI's names become Microsoft's where a tier has those, and each tier's
 * own voice elsewhere: the local ones have one voice each. Any other name is a tier's own, as in `voice` of
 * `/v1/speak`.
 */
export function createVoiceRule(speechTiers: readonly string[]): VoiceRule {
  const hasMicrosoft = speechTiers.some((tier) => tier === "azure" || tier === "edge");
  return (name) => {
    if (name === undefined || !Object.hasOwn(voices, name)) return name;
    return hasMicrosoft ? voices[name] : undefined;
  };
}

/** What `GET /v1/audio/voices` lists: OpenAI's names, and what speaks for each. */
export function listVoices(rule: VoiceRule): readonly object[] {
  return Object.keys(voices).map((id) => ({
    id,
    name: id,
    object: "voice",
    speaks_as: rule(id) ?? null,
  }));
}
