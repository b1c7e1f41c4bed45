import { expect, inject, vi } from "vitest";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import type { GatewayStatus } from "../../server/http/status.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import { replyTo } from "./replies.ts";
import { createScriptedLanguageModel } from "./scripted-language-model.ts";
import { createSpellingVoice } from "./spelling-voice.ts";

declare module "vitest" {
  // biome-ignore lint/style/useConsistentTypeDefinitions: only an interface can be added to.
  interface ProvidedContext {
    /** Whether chunks bypass connect-node, as they do outside of tests. */
    responseWire: boolean;
  }
}

/** What a test changes of the gateway that it starts. */
export type GatewayOptions = {
  /** Text tiers in the place of the one that plays `replyTo`. */
  readonly languageModels?: readonly LanguageModel[];
  /** Voices in the place of the one that spells. */
  readonly synthesizers?: readonly Synthesizer[];
  /** False sends every message through connect-node. Unless given, the test run says which way. */
  readonly responseWire?: boolean;
  /** Settings. Ports are free ones, and nothing is logged or stored, unless said otherwise. */
  readonly env?: Readonly<Record<string, string>>;
};

/** A gateway that runs in this process, on free ports. */
export type Gateway = AsyncDisposable & {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** The URL of the port for native clients; it speaks everything. */
  readonly url: string;
  /** The URL of the port for the page and for curl. */
  readonly httpUrl: string;
  status(): GatewayStatus;
  /** How many calls of providers are in progress. */
  providerCalls(): number;
  /** Texts that were given to the voices, in order. */
  readonly spoken: readonly string[];
  /** Stops it, whatever is in progress; then nothing may be left at work. */
  stop(): Promise<void>;
  /** Waits until no turn and no provider is at work. Fails after 5 s. */
  untilIdle(): Promise<void>;
  /** Waits until the voices have spoken `texts` in all and rest. Fails after 5 s. */
  untilSpoken(...texts: readonly string[]): Promise<void>;
};

/** Free ports, nothing stored, and a stop that waits for no turn. */
const quick = { GRPC_PORT: "0", HTTP_PORT: "0", STORAGE_ENABLED: "false", SHUTDOWN_GRACE: "0" };

const WAIT = { timeout: 5000, interval: 5 };

/**
 * Starts a gateway with a scripted language model and a voice that spells. When it is disposed of, every
 * turn must be over within 5 s and every provider at rest, or the test fails.
 */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const calls = { active: 0, spoken: [] as string[] };
  const languageModels = options.languageModels ?? [
    createScriptedLanguageModel(({ text }) => replyTo(text)),
  ];
  const synthesizers = options.synthesizers ?? [createSpellingVoice()];
  const app = createApp(readConfig({ ...quick, LOG_LEVEL: "silent", ...options.env }), {
    languageModels: languageModels.map((languageModel) => ({
      ...languageModel,
      generate: (prompt, signal) => counted(calls, languageModel.generate(prompt, signal)),
    })),
    responseWire: options.responseWire ?? inject("responseWire"),
    synthesizers: synthesizers.map((synthesizer) => ({
      ...synthesizer,
      synthesize(text, voice, signal) {
        calls.spoken.push(text);
        return counted(calls, synthesizer.synthesize(text, voice, signal));
      },
    })),
  });
  const { grpc, http } = await app.start();

  const untilIdle = () =>
    vi.waitFor(() => {
      const { activeSessions } = app.status();
      expect({ activeSessions, providerCalls: calls.active }).toEqual({
        activeSessions: 0,
        providerCalls: 0,
      });
    }, WAIT);
  const stop = async () => {
    await app.stop();
    await untilIdle();
  };
  const dispose = async () => {
    try {
      await untilIdle();
    } finally {
      await app.stop();
    }
  };
  return {
    grpcPort: grpc.port,
    httpPort: http.port,
    url: `http://127.0.0.1:${grpc.port}`,
    httpUrl: `http://127.0.0.1:${http.port}`,
    stop,
    status: app.status,
    providerCalls: () => calls.active,
    spoken: calls.spoken,
    untilIdle,
    untilSpoken: (...texts) => vi.waitFor(() => expect(calls.spoken).toEqual(texts), WAIT),
    [Symbol.asyncDispose]: dispose,
  };
}

async function* counted<Part>(
  calls: { active: number },
  parts: AsyncIterable<Part>,
): AsyncGenerator<Part> {
  calls.active += 1;
  try {
    yield* parts;
  } finally {
    calls.active -= 1;
  }
}
