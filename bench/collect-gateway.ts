// A process that runs the gateway with the vendors' emulators, whose connections take their time.

import { startEdgeEmulator } from "../emulators/edge.ts";
import { startGeminiEmulator } from "../emulators/gemini.ts";
import { startGeminiLiveEmulator } from "../emulators/gemini-live.ts";
import { createApp } from "../server/app.ts";
import { readConfig } from "../server/config/config.ts";
import type { LanguageModel } from "../server/models/language-model.ts";
import { createEdgeVoice } from "../server/providers/edge/edge.ts";
import { createGeminiModel } from "../server/providers/gemini/gemini.ts";
import { createGeminiLiveModel } from "../server/providers/gemini-live/gemini-live.ts";
import { serveLoad } from "./child.ts";
import { CONNECT_MS, FIRST_PART_MS, FIRST_SOUND_MS, isLive } from "./collect-devices.ts";

const deltas = ["Here is a sentence. ", "And here is one more sentence."];
const apiKey = "emulated";
const model = "emulated";

/** One tier whose devices talk to either model, so that both are measured in one process. */
function createEitherGenerator(gemini: LanguageModel, live: LanguageModel): LanguageModel {
  const of = ({ deviceId = "" }) => (isLive(deviceId) ? live : gemini);
  return {
    name: "either",
    generate: (prompt, signal) => of(prompt).generate(prompt, signal),
    prepare: async (context, signal) => of(context).prepare?.(context, signal),
    stop: async () => live.stop?.(),
  };
}

const gemini = await startGeminiEmulator();
const live = await startGeminiLiveEmulator();
const edge = await startEdgeEmulator();
for (const emulator of [gemini, live]) {
  emulator.play({ deltas, connectMs: CONNECT_MS, firstPartMs: FIRST_PART_MS });
}
edge.play({ connectMs: CONNECT_MS, firstPartMs: FIRST_SOUND_MS });

const ports = { HOST: "127.0.0.1", GRPC_PORT: "0", HTTP_PORT: "0" };
const config = readConfig({ ...ports, STORAGE_ENABLED: "false" });
const app = createApp(config, {
  languageModels: [
    createEitherGenerator(
      createGeminiModel({ apiKey, model, baseUrl: gemini.url }),
      // Its connection is dropped soon after a turn, as it is for a device that rests for a minute.
      createGeminiLiveModel({ apiKey, model, baseUrl: live.url, idleMs: 1000, warmConnections: 0 }),
    ),
  ],
  synthesizers: [createEdgeVoice({ endpoint: edge.url })],
});
const { grpc } = await app.start();
serveLoad({
  url: `http://${grpc.host}:${grpc.port}`,
  takeCancels: () => ({}),
  answers: () => ({}),
  async stop() {
    await app.stop();
    await Promise.all([gemini.stop(), live.stop(), edge.stop()]);
  },
});
