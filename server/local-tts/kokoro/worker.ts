import { runWorker } from "../worker/worker-main.ts";

// The process in which Kokoro speaks. It is told the voice's name, and the folder if one was named.
const [voice = "", dir] = process.argv.slice(2);
runWorker(async () =>
  (await import("./engine.ts")).loadKokoroEngine({ voice, ...(dir !== undefined && { dir }) }),
);
