import { runWorker } from "../worker/worker-main.ts";

// The process in which the local voice speaks. It is told where it may keep its model.
const [cacheFolder = ""] = process.argv.slice(2);
runWorker(async () => (await import("./engine.ts")).createDittliEngine(cacheFolder));
