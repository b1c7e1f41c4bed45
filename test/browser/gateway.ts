import { spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { ProviderError } from "../../server/core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
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

/** What a test changes of its gateway. */
export type TestGatewayOptions = {
  /** The only speech tier; the tone if absent. */
  readonly voice?: "tone" | "local";
  /** Speech tiers in its place. */
  readonly synthesizers?: readonly Synthesizer[];
  /** True for the text tier that comes without settings: no model at all. */
  readonly noModel?: boolean;
  /** Another port than a free one: of a gateway that comes back. */
  readonly port?: number;
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>;
};

/**
 * Starts a gateway on free ports. Its model answers offline, but for these prompts: "endless" (sentences
 * until it is cancelled), "break" (fails after a sentence), "refuse" (fails at once), and those that begin
 * with "reply:", whose rest is the reply, with "¦" where it waits for a moment.
 */
export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  buildPage();
  const prompts: Prompt[] = [];
  const config = readConfig({
    HOST: "127.0.0.1",
    GRPC_PORT: "0",
    HTTP_PORT: String(options.port ?? 0),
    STORAGE_ENABLED: "false",
    SHUTDOWN_GRACE: "0",
    SPEECH_TIERS: options.voice ?? "tone",
    LOG_LEVEL: "fatal",
    ...options.env,
  });
  const app = createApp(config, {
    ...(!options.noModel && { languageModels: [createModel(prompts)] }),
    ...(options.synthesizers && { synthesizers: options.synthesizers }),
  });
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
      else if (prompt.text.startsWith("reply:")) yield* pieces(prompt.text.slice(6), signal);
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

async function* pieces(reply: string, signal: AbortSignal): AsyncGenerator<ReplyPart> {
  for (const piece of reply.split("¦")) {
    yield* sentence(piece);
    await delay(300, undefined, { signal });
  }
}

function* sentence(text: string): Iterable<ReplyPart> {
  yield { type: "text", text };
}

function fault(message: string): ProviderError {
  return new ProviderError("test", "server", message);
}
