import type { LanguageModel } from "../../server/models/language-model.ts";
import { createOfflineModel } from "../../server/providers/offline.ts";
import { languageModelSuite } from "../contracts/language-model-suite.ts";

// The offline language model gives back what follows "say:"; a reply of several deltas comes as one.
languageModelSuite(
  "offline",
  async () => {
    const offline = createOfflineModel();
    let reply = "";
    const languageModel: LanguageModel = {
      name: offline.name,
      generate: (prompt, signal) => offline.generate({ ...prompt, text: `say:${reply}` }, signal),
    };
    return {
      languageModel,
      play: ({ deltas = [] }) => {
        reply = deltas.join("");
      },
      active: () => 0,
      stop: async () => undefined,
    };
  },
  { immediate: true },
);
