import { startAzureEmulator } from "../azure.ts";
import { startEdgeEmulator } from "../edge.ts";
import { startGeminiEmulator } from "../gemini.ts";
import { startGeminiLiveEmulator } from "../gemini-live.ts";
import { startOpenaiEmulator } from "../openai.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";

/** The initial scripts: delays, and the replies of the text providers. */
export const defaultScripts = {
  "gemini-live": { firstPartMs: 150, partMs: 40, deltas: wordsOf("Gemini Live") },
  gemini: { firstPartMs: 200, partMs: 40, deltas: wordsOf("Gemini") },
  langchain: { firstPartMs: 250, partMs: 40, deltas: wordsOf("chat model behind LangChain") },
  azure: { firstPartMs: 100, partMs: 20 },
  edge: { firstPartMs: 150, partMs: 20 },
} as const satisfies Record<string, EmulatorScript>;

/** A tier whose provider is emulated. */
export type EmulatedTier = keyof typeof defaultScripts;

const textFaults: readonly FaultKind[] = [
  "refuse",
  "unauthorized",
  "forbidden",
  "rate-limit",
  "quota",
  "html-500",
  "hang",
  "drip",
  "cut",
  "empty",
  "malformed",
];

/** The faults that each emulated tier can play. */
export const emulatedKinds: Readonly<Record<EmulatedTier, readonly FaultKind[]>> = {
  "gemini-live": [...textFaults, "wrong-rate"],
  gemini: textFaults,
  langchain: textFaults,
  azure: [...textFaults, "wrong-rate"],
  edge: [...textFaults, "wrong-rate"],
};

/** The running emulators. */
export type Emulators = {
  readonly urls: Readonly<Record<EmulatedTier, string>>;
  play(tier: EmulatedTier, script: EmulatorScript): void;
  stop(): Promise<void>;
};

/** Starts all emulators on free loopback ports, each with its default script. */
export async function startEmulators(): Promise<Emulators> {
  const running = {
    "gemini-live": await startGeminiLiveEmulator(),
    gemini: await startGeminiEmulator(),
    langchain: await startOpenaiEmulator(),
    azure: await startAzureEmulator(),
    edge: await startEdgeEmulator(),
  };
  const tiers = Object.keys(running) as EmulatedTier[];
  const play = (tier: EmulatedTier, script: EmulatorScript) => running[tier].play(script);
  for (const tier of tiers) play(tier, defaultScripts[tier]);
  return {
    urls: {
      "gemini-live": running["gemini-live"].url,
      gemini: running.gemini.url,
      langchain: `${running.langchain.url}/v1`,
      azure: running.azure.url,
      edge: running.edge.url,
    },
    play,
    stop: async () => {
      await Promise.all(tiers.map((tier) => running[tier].stop()));
    },
  };
}

/** A reply of several sentences that names the provider, split into words. */
function wordsOf(name: string): readonly string[] {
  const reply =
    `This is the emulated ${name}. It knows these few sentences and no others. ` +
    "The words come one by one, as from a real model. Break me, and listen who continues.";
  return reply.match(/\S+\s*/g) ?? [];
}
