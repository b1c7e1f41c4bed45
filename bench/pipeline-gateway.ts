// A process that runs the gateway with a model and a voice that take their time.
import { createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import type { Synthesizer } from "../server/models/synthesizer.ts";
import { servePipeline } from "./pipeline-child.ts";
import { createSlowProviders, type SlowProviders } from "./pipeline-providers.ts";
import type { ReplyPlan } from "./reply.ts";

function createSlowGenerator({ write }: SlowProviders): LanguageModel {
  return {
    name: "slow",
    async *generate({ text: turn }, signal) {
      for await (const text of write(turn, signal)) yield { type: "text", text };
    },
  };
}

function createSlowVoice({ speak }: SlowProviders): Synthesizer {
  return {
    name: "slow",
    synthesize: (text, _voice, signal) => speak(text, signal),
  };
}

async function run(plan: ReplyPlan): Promise<void> {
  const providers = createSlowProviders(plan);
  const config = readConfig({
    HOST: "127.0.0.1",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    STORAGE_ENABLED: "false",
    AUDIO_CHUNK_MS: String(plan.frameMs),
  });
  const app = createApp(config, {
    languageModels: [createSlowGenerator(providers)],
    synthesizers: [createSlowVoice(providers)],
  });
  const { grpc } = await app.start();
  const url = `http://${grpc.host}:${grpc.port}`;
  servePipeline({ url, takeMarks: providers.takeMarks, stop: app.stop });
}

await run(JSON.parse(process.argv[2] ?? "") as ReplyPlan);
