import { createApp } from "../../server/app.ts";
import { readConfig } from "../../server/config/config.ts";
import { createScriptedLanguageModel } from "../support/scripted-language-model.ts";
import { createPacedVoice } from "./paced-voice.ts";

// The process under attack: a real gateway on free ports, whose model repeats the prompt and whose
// voice spells it at the pace at which it is heard. It tells its parent its ports, and its memory
// after a collection whenever asked.

const app = createApp(
  readConfig({ GRPC_PORT: "0", HTTP_PORT: "0", AUDIO_CHUNK_MS: "32", LOG_LEVEL: "info" }),
  {
    languageModels: [createScriptedLanguageModel(({ text }) => [text])],
    synthesizers: [createPacedVoice()],
  },
);
const { grpc, http } = await app.start();
process.send?.({ grpcPort: grpc.port, httpPort: http.port });
process.on("message", async (ask: "now" | "collected") => {
  for (let round = 0; round < 3 && ask === "collected"; round++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    globalThis.gc?.();
  }
  process.send?.(process.memoryUsage());
});
process.on("disconnect", () => process.exit(0));
