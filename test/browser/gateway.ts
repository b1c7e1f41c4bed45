import { spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../server/models/language-model.ts";
import { createOfflineModel } from "../../server/providers/offline.ts";

/** A gateway in this process that serves the page of the sources as they stand. */
export type TestGateway = {
  readonly url: string;
  /** Turns in progress. */
  activeTurns(): number;
  /** Turns that ended in this way since the start. */
  ended(outcome: string): number;
  /** What the models were asked, oldest first. */
  readonly prompts: readonly Prompt[];
  stop(): Promise<void>;
};

/**
 * Starts a gateway on free ports, with `voice` as its only speech tier. Its model answers offline,
 * but for these prompts: "endless" (sentences until it is cancelled), "break" (fails after a
 * sentence), "refuse" (fails at once).
 */
export async function startGateway(
  voice: "tone" | "local" = "tone",
  env: Readonly<Record<string, string>> = {},
): Promise<TestGateway> {
  buildPage();
  const prompts: Prompt[] = [];
  const config = readConfig({
    HOST: "127.0.0.1",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STORAGE_ENABLED: "false",
    SHUTDOWN_GRACE: "0",
    SPEECH_TIERS: voice,
    LOG_LEVEL: "fatal",
    ...env,
  });
  const app = createApp(config, { languageModels: [createModel(prompts)] });
  const { http } = await app.start();
  return {
    url: `http://${http.host}:${http.port}/`,
    activeTurns: () => app.status().activeSessions,
    ended: (outcome) => app.status().turns[outcome] ?? 0,
    prompts,
    stop: () => app.stop(),
  };
}

function buildPage(): void {
  const tool = fileURLToPath(new URL("../../tools/page.ts", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [tool], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the page cannot be built: ${stderr}`);
}

function createModel(prompts: Prompt[]): LanguageModel {
  const offline = createOfflineModel();
  return {
    name: "test",
    async *generate(prompt: Prompt, signal: AbortSignal): AsyncGenerator<ReplyPart> {
      prompts.push(prompt);
      if (prompt.text === "refuse") throw fault("it was told to refuse");
      if (prompt.text === "endless") yield* endless(signal);
      else if (prompt.text === "break") yield* sentence("This much was said. And here");
      else yield* offline.generate(prompt, signal);
      if (prompt.text === "break") throw fault("it was told to break");
    },
  };
}

async function* endless(signal: AbortSignal): AsyncGenerator<ReplyPart> {
  for (let count = 1; ; count++) {
    yield* sentence(`This is sentence ${count} of a reply that has no end. `);
    await delay(50, undefined, { signal });
  }
}

function* sentence(text: string): Iterable<ReplyPart> {
  yield { type: "text", text };
}

function fault(message: string): ProviderError {
  return new ProviderError("test", "server", message);
}
