import { startAzureEmulator } from "../azure.ts";
import { startEdgeEmulator } from "../edge.ts";
import { startGeminiEmulator } from "../gemini.ts";
import { startGeminiLiveEmulator } from "../gemini-live.ts";
import { startOpenaiEmulator } from "../openai.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";

/** How fast the emulated providers are unless told otherwise, and what the text ones say. */
export const ordinaryScripts = {
  "gemini-live": { firstPartMs: 150, partMs: 40, deltas: wordsOf("Gemini Live") },
  gemini: { firstPartMs: 200, partMs: 40, deltas: wordsOf("Gemini") },
  langchain: { firstPartMs: 250, partMs: 40, deltas: wordsOf("chat model behind LangChain") },
  azure: { firstPartMs: 100, partMs: 20 },
  edge: { firstPartMs: 150, partMs: 20 },
} as const satisfies Record<string, EmulatorScript>;

/** A tier whose provider is emulated. */
export type EmulatedTier = keyof typeof ordinaryScripts;

const soundless: readonly FaultKind[] = [
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

/** What each emulated tier can be made to do. */
export const emulatedKinds: Readonly<Record<EmulatedTier, readonly FaultKind[]>> = {
  "gemini-live": [...soundless, "wrong-rate"],
  gemini: soundless,
  langchain: soundless,
  azure: [...soundless, "wrong-rate"],
  edge: [...soundless, "wrong-rate"],
};

/** Every emulator, running. */
export type Emulators = {
  readonly urls: Readonly<Record<EmulatedTier, string>>;
  play(tier: EmulatedTier, script: EmulatorScript): void;
  stop(): Promise<void>;
};

/** Starts all emulators on free ports of loopback, each with its ordinary script. */
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
  for (const tier of tiers) play(tier, ordinaryScripts[tier]);
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

/** A reply of several sentences that says who speaks, a word at a time. */
function wordsOf(name: string): readonly string[] {
  const reply =
    `This is the emulated ${name}. It knows these few sentences and no others. ` +
    "The words come one by one, as from a real model. Break me, and listen who goes on.";
  return reply.match(/\S+\s*/g) ?? [];
}
