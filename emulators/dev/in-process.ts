import { setTimeout } from "node:timers/promises";
import { throwIfAborted } from "../../server/core/async.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";

/** Faults that a provider in this process can play. */
export const inProcessKinds: readonly FaultKind[] = ["refuse", "hang", "cut", "empty"];

/** A provider that plays a script. */
export type Played<Provider> = {
  readonly provider: Provider;
  play(script: EmulatorScript): void;
};

/** Adds faults and delays to a language model without a server. */
export function playLanguageModel(languageModel: LanguageModel): Played<LanguageModel> {
  const { play, around } = createPlay(languageModel.name);
  return {
    play,
    provider: {
      ...languageModel,
      generate: (prompt, signal) => around(languageModel.generate(prompt, signal), signal),
    },
  };
}

/** Adds faults and delays to a voice without a server. */
export function playVoice(voice: Synthesizer): Played<Synthesizer> {
  const { play, around } = createPlay(voice.name);
  return {
    play,
    provider: {
      ...voice,
      synthesize: (text, asked, signal) => around(voice.synthesize(text, asked, signal), signal),
    },
  };
}

function createPlay(name: string) {
  let script: EmulatorScript = {};
  const play = (next: EmulatorScript) => {
    script = next;
  };
  async function* around<Part>(parts: AsyncIterable<Part>, signal: AbortSignal) {
    const { fault, firstPartMs, partMs } = script;
    const isDueAt = (count: number) => fault && count >= (fault.afterParts ?? 0);
    let count = 0;
    for await (const part of parts) {
      await delay(count === 0 ? firstPartMs : partMs, signal);
      if (isDueAt(count)) break;
      yield part;
      count += 1;
    }
    if (fault && fault.kind !== "empty") await fail(name, fault.kind, signal);
  }
  return { play, around };
}

async function fail(name: string, kind: FaultKind, signal: AbortSignal): Promise<void> {
  if (kind === "hang") await delay(2 ** 30, signal);
  throw new ProviderError(name, "connectivity", "switched off");
}

async function delay(waitMs: number | undefined, signal: AbortSignal): Promise<void> {
  if (waitMs) await setTimeout(waitMs, undefined, { signal }).catch(() => throwIfAborted(signal));
}
