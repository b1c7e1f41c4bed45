import type { Generator } from "../../server/models/language-model.ts";
import { createOfflineGenerator } from "../../server/providers/offline.ts";
import { generatorSuite } from "../contracts/language-model-suite.ts";

// The offline generator gives back what follows "say:"; a reply of several deltas comes as one.
generatorSuite(
  "offline",
  async () => {
    const offline = createOfflineGenerator();
    let reply = "";
    const generator: Generator = {
      name: offline.name,
      generate: (prompt, signal) => offline.generate({ ...prompt, text: `say:${reply}` }, signal),
    };
    return {
      generator,
      play: ({ deltas = [] }) => {
        reply = deltas.join("");
      },
      active: () => 0,
      stop: async () => undefined,
    };
  },
  { immediate: true },
);
