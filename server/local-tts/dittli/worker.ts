import { runWorker } from "../worker/worker-main.ts";

// A worker of the `local` tier. Its argument is the cache folder.
const [cacheFolder = ""] = process.argv.slice(2);
runWorker(async () => (await import("./engine.ts")).createDittliEngine(cacheFolder));
