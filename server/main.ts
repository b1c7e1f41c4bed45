import { setTimeout as sleep } from "node:timers/promises";
import { createApp } from "./app.ts";
import { InvalidConfig, readConfig } from "./config.ts";
import { describeSettings } from "./settings.ts";
import { startLine } from "./start-line.ts";

/** Within this time it shows that a key is refused, or that a model's file is not there. */
const PROBLEMS_SHOW_MS = 500;

function printHelp(): void {
  process.stdout.write("Usage: npm start\n\nSettings, from the environment:\n\n");
  for (const { name, default: value, about } of describeSettings()) {
    process.stdout.write(`  ${name}${value && ` (${value})`}\n      ${about}\n`);
  }
}

async function run(): Promise<void> {
  const config = readConfig();
  const app = createApp(config);
  const stop = async () => {
    await app.stop();
    process.exit(0);
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const addresses = await app.start();
  const { gemini, azure, kokoro } = config.providers;
  if (gemini || azure || kokoro) await sleep(PROBLEMS_SHOW_MS);
  process.stdout.write(startLine(app.status(), addresses, config));
}

if (process.argv.includes("--help")) {
  printHelp();
} else {
  await run().catch((error: Error) => {
    const reason =
      error instanceof InvalidConfig
        ? `These settings cannot be used:\n${error.message}`
        : error.message;
    process.stderr.write(`Parley cannot start. ${reason}\n`);
    process.exit(1);
  });
}
