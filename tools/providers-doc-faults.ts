import type { EmulatorScript, FaultKind } from "../emulators/script.ts";
import { BLOCK_SAMPLES } from "../server/core/audio/pcm.ts";
import { NoProviderLeft, ProviderError } from "../server/core/errors.ts";
import { speakText } from "../server/failover/speech.ts";
import { generateReply } from "../server/failover/text.ts";
import type { Timeouts } from "../server/failover/tier.ts";
import { createTier } from "../server/failover/tier.ts";
import { table } from "./api-docs/markdown.ts";
import { type EmulatedTiers, openEmulatedTiers } from "./providers-doc-emulated.ts";

const kinds: Readonly<Partial<Record<FaultKind, string>>> = {
  refuse: "no connection",
  unauthorized: "the key is wrong",
  forbidden: "the key has no access",
  "rate-limit": "429, or its equivalent",
  quota: "no credit left",
  "html-500": "500 with an HTML page, or its equivalent",
  hang: "no response",
  cut: "the connection breaks within a response",
  empty: "an empty response",
  malformed: "a malformed response",
};

const never = new AbortController().signal;
const long: Timeouts = { firstPartMs: 20_000, idleMs: 20_000, totalMs: 20_000 };
const short: Timeouts = { firstPartMs: 1500, idleMs: 1500, totalMs: 1500 };

/**
 * The error kind that each fault leads to at each tier that calls a server, and whether it opens the
 * circuit breaker. The emulators play the faults to the real adapters.
 */
export async function faultTable(): Promise<string> {
  const opened = await openEmulatedTiers();
  try {
    const columns = await Promise.all(opened.names.map((name) => faultsOf(opened, name)));
    const rows = Object.values(kinds).map((meaning, at) => [
      meaning,
      ...columns.map((column) => column[at] ?? ""),
    ]);
    const names = opened.names.map((name) => `\`${name}\``);
    return table(["What happens", ...names], rows).join("\n");
  } finally {
    await opened.stop();
  }
}

async function faultsOf(opened: EmulatedTiers, name: string): Promise<readonly string[]> {
  const cells: string[] = [];
  for (const kind of Object.keys(kinds) as FaultKind[]) {
    opened.play(name, scriptOf(kind));
    cells.push(await kindOf(opened, name, kind));
  }
  return cells;
}

function scriptOf(kind: FaultKind): EmulatorScript {
  const afterParts = kind === "cut" || kind === "malformed" ? 1 : 0;
  return { deltas: ["One ", "two ", "three."], fault: { kind, afterParts, retryAfterSeconds: 60 } };
}

async function kindOf(opened: EmulatedTiers, name: string, kind: FaultKind): Promise<string> {
  const timeouts = kind === "hang" ? short : long;
  const languageModel = opened.languageModels.get(name);
  const voice = opened.voices.get(name);
  const textTiers = languageModel ? [createTier(languageModel, timeouts)] : [];
  const speechTiers = voice ? [createTier(voice, timeouts)] : [];
  const parts = languageModel
    ? generateReply({ tiers: textTiers }, { text: "Count." }, never)
    : speakText(
        { tiers: speechTiers, samplesPerChunk: BLOCK_SAMPLES },
        { text: "One two three.", voice: {} },
        never,
      );
  const error = await Array.fromAsync(parts as AsyncIterable<unknown>).then(
    () => undefined,
    (cause: unknown) => (cause instanceof NoProviderLeft ? cause.causes[0] : cause),
  );
  if (!(error instanceof ProviderError)) throw new Error(`${name} did not fail at ${kind}`);
  const isOpen = [...textTiers, ...speechTiers].some(({ breaker }) => breaker.state() === "OPEN");
  return `${error.kind}${isOpen ? ", opens" : ""}`;
}
