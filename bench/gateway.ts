// A process that runs the gateway: with the bench's own text and voice if it is given a plan, else
// with those that it ships with.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import type { Synthesizer } from "../server/models/synthesizer.ts";
import { serveLoad } from "./child.ts";
import { type BenchSpeech, createSpeech, type ReplyPlan, sentencesOf, turnOf } from "./reply.ts";

function createBenchGenerator(plan: ReplyPlan): LanguageModel {
  return {
    name: "bench",
    async *generate({ text: turn }) {
      for (const word of sentencesOf(plan, turn).join("").split(/(?= )/)) {
        yield { type: "text", text: word };
      }
    },
  };
}

function createBenchVoice(speech: BenchSpeech): Synthesizer {
  return {
    name: "bench",
    synthesize: (text, _voice, signal) => speech.speak(turnOf(text), signal),
  };
}

/** How often the event loop is looked at, where it is watched. */
const WATCH_MS = 1;

/** Watches the event loop. Answers a function that takes the longest stall since it was last called. */
function watchLoop(): () => number {
  const delays = monitorEventLoopDelay({ resolution: WATCH_MS });
  delays.enable();
  return () => {
    const { max } = delays;
    delays.reset();
    return max / 1e6;
  };
}

/** Settings that a scenario asks for; its event loop is then watched. */
type Settings = Readonly<Record<string, string>>;

async function run(plan: ReplyPlan | undefined, settings: Settings | null): Promise<void> {
  const speech = plan && createSpeech(plan);
  const folder = mkdtempSync(join(tmpdir(), "parley-bench-"));
  const config = readConfig({
    DATA_DIR: folder,
    HOST: "127.0.0.1",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STORAGE_ENABLED: "false",
    // Too much at once is to be seen as waiting, not as turns that were cut or tiers given up.
    MAX_PROCESSING_TIME: "600",
    SPEECH_TIMEOUT: "600",
    MAX_SESSIONS: "2000",
    // h2load sends one request for all its clients.
    MAX_CONCURRENT_REQUESTS: "1000",
    // The load stands for clients at many addresses.
    TRUSTED_PROXIES: "127.0.0.1",
    RATE_LIMIT_REQUESTS: "0",
    RATE_LIMIT_BYTES: "0",
    // Sound that is not paced is more than a device can play.
    QUOTA_AUDIO_SECONDS: "0",
    ...(plan && { AUDIO_CHUNK_MS: String(plan.frameMs) }),
    ...(settings ?? {}),
  });
  const overrides = plan &&
    speech && {
      languageModels: [createBenchGenerator(plan)],
      synthesizers: [createBenchVoice(speech)],
    };
  const app = createApp(config, overrides);
  const { grpc } = await app.start();
  serveLoad({
    url: `http://${grpc.host}:${grpc.port}`,
    takeCancels: () => speech?.takeCancels() ?? {},
    answers: () =>
      Object.fromEntries(app.status().providers.map(({ name, succeeded }) => [name, succeeded])),
    ...(settings && { takeStallMs: watchLoop() }),
    async stop() {
      await app.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  });
}

const [plan, settings = null] = process.argv.slice(2).map((json) => JSON.parse(json));
await run(plan, settings);
