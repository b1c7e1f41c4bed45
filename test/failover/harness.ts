import { setTimeout } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, vi } from "vitest";
import { StreamingService } from "../../gen/streaming/streaming_pb.ts";
import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import type { GatewayStatus, ProviderStatus } from "../../server/http/status.ts";
import type { LanguageModel } from "../../server/models/language-model.ts";
import type { Synthesizer } from "../../server/models/synthesizer.ts";
import type { LogFields, Logger } from "../../server/telemetry/logger.ts";
import { createTranscript, type Transcript } from "./transcript.ts";

/**
 * Milliseconds of silence after which a tier is given up, where a test waits for that. The tier that
 * follows has to begin sooner, on a busy machine too.
 */
export const silenceMs = 1_200;
/** Settings of a gateway whose tiers are given up so soon. */
const impatient = {
  TEXT_TIMEOUT: `${(3 * silenceMs) / 1000}`,
  SPEECH_TIMEOUT: `${(3 * silenceMs) / 1000}`,
};

/** What a gateway under fire is made of. */
export type HarnessOptions = {
  /** Best first. */
  readonly languageModels: readonly LanguageModel[];
  /** Best first. */
  readonly synthesizers: readonly Synthesizer[];
  /** Whether a silent tier is given up after `silenceMs`. After several seconds, if absent. */
  readonly isImpatient?: boolean;
  readonly env?: Readonly<Record<string, string>>;
};

/** A line of the log. */
type LogLine = { readonly level: string; readonly message: string } & LogFields;

/** A gateway with a client of its own, both real. */
export type Harness = AsyncDisposable & {
  /** Runs a turn to its end, however it ends. `onStep` sees what was heard so far. */
  turn(options?: TurnOptions): Promise<Transcript>;
  /** Interrupts the device; returns how many turns that ended. */
  interrupt(): Promise<number>;
  /** Everything that was logged. */
  readonly log: readonly LogLine[];
  /** A tier as `/status` shows it. */
  tier(name: string): ProviderStatus | undefined;
  /** The text of `GET /status`. */
  statusPage(): Promise<string>;
};

/** How a turn is asked for. */
type TurnOptions = {
  readonly signal?: AbortSignal;
  readonly onStep?: (soFar: Transcript) => void;
  /** Milliseconds that the client waits after each message. */
  readonly readMs?: number;
};

const deviceId = "6f1c0f0e-3c53-4f0f-9b0e-0d5d3f0f7a11";

/** Starts a gateway. When it is disposed of, every turn must be over within 5 s. */
export async function startHarness(options: HarnessOptions): Promise<Harness> {
  const { languageModels, synthesizers, isImpatient = false, env } = options;
  const log: LogLine[] = [];
  const timeouts = isImpatient ? impatient : {};
  const base = {
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STORAGE_ENABLED: "false",
    SHUTDOWN_GRACE: "0",
  };
  const config = readConfig({ ...base, ...timeouts, ...env });
  const app = createApp(config, { languageModels, synthesizers, logger: recorder(log) });
  const { grpc, http } = await app.start();
  const baseUrl = `http://127.0.0.1:${grpc.port}`;
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl }));
  return {
    log,
    tier: (name) => tierOf(app.status(), name),
    statusPage: async () => (await fetch(`http://127.0.0.1:${http.port}/status`)).text(),
    async interrupt() {
      const answer = await client.interruptSession({ hardwareId: deviceId });
      return answer.interruptedSessions.length;
    },
    async turn({ signal, onStep, readMs } = {}) {
      const transcript = createTranscript();
      const request = { prompt: "Count.", hardwareId: deviceId };
      try {
        const steps = client.streamAudio(request, signal ? { signal } : {});
        for await (const { content } of steps) {
          transcript.take(content);
          onStep?.(transcript.read());
          if (readMs !== undefined) await setTimeout(readMs);
        }
      } catch (error) {
        transcript.fail(ConnectError.from(error));
      }
      return transcript.read();
    },
    async [Symbol.asyncDispose]() {
      try {
        await vi.waitFor(() => expect(app.status().activeSessions).toBe(0), 5000);
      } finally {
        await app.stop();
      }
    },
  };
}

/** The name of a status as gRPC writes it: `DEADLINE_EXCEEDED`. */
export function statusName(code: Code): string {
  return Code[code].replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function tierOf(status: GatewayStatus, name: string): ProviderStatus | undefined {
  return status.providers.find((provider) => provider.name === name);
}

function recorder(log: LogLine[]): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => {
    log.push({ ...fields, level, message });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
