import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createPacedVoice } from "./paced-voice.ts";
import type { Report, ReportKind } from "./target.ts";

// The process under attack: a real gateway on free ports, whose model repeats the prompt and whose
// voice spells it at the pace at which it is heard. It tells its parent its ports, and how it is
// whenever asked.

const app = createApp(
  readConfig({
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    AUDIO_CHUNK_MS: "32",
    LOG_LEVEL: "info",
    STORAGE_ENABLED: "false",
  }),
  {
    languageModels: [createScriptedLanguageModel(({ text }) => [text])],
    synthesizers: [createPacedVoice()],
  },
);
const { grpc, http } = await app.start();
process.send?.({ grpcPort: grpc.port, httpPort: http.port });

// The longest that one turn of the event loop kept this thread busy, in milliseconds of its own CPU
// time: a machine that has other work makes a gap on the wall clock, but none here.
let before = process.threadCpuUsage();
let stallMs = 0;
setInterval(() => {
  const now = process.threadCpuUsage();
  stallMs = Math.max(stallMs, (now.user + now.system - before.user - before.system) / 1000);
  before = now;
}, 5).unref();

process.on("message", async (ask: ReportKind) => {
  if (ask === "first") stallMs = 0;
  const longestStallMs = stallMs;
  for (let round = 0; round < 3 && ask === "collected"; round++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    globalThis.gc?.();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  const turns = app.status().activeSessions;
  process.send?.({
    heldBytes: heapUsed + external,
    rssBytes: rss,
    turns,
    stallMs: longestStallMs,
  } satisfies Report);
});
process.on("disconnect", () => process.exit(0));
