import { runWorker } from "../worker/worker-main.ts";

// A worker of the `kokoro` tier. Its arguments are the voice, and the folder of the files if one is set.
const [voice = "", dir] = process.argv.slice(2);
runWorker(async () =>
  (await import("./engine.ts")).loadKokoroEngine({ voice, ...(dir !== undefined && { dir }) }),
);
