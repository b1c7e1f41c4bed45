import { runWorker } from "../worker/worker-main.ts";

// A worker of the `local` tier. Its arguments are the cache folder and the language.
const [cacheFolder = "", language] = process.argv.slice(2);
runWorker(async () => {
  const { createDittliEngine } = await import("./engine.ts");
  return createDittliEngine(cacheFolder, language === "de" ? "de" : "en");
});
