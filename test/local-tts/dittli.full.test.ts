import { createLocalVoice, createLocalWorkers } from "../../server/local-tts/dittli/dittli.ts";
import { synthesizerSuite } from "../contracts/synthesizer-suite.ts";

synthesizerSuite(
  "the local voice",
  async () => {
    const workerPool = createLocalWorkers("data/cache");
    const synthesizer = createLocalVoice({ transliterate: true, workerPool });
    return { synthesizer, active: workerPool.pendingCalls, stop: async () => undefined };
  },
  { unscripted: true, slow: true },
);
