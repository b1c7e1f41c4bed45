// Runs a gateway with emulated providers, so that no keys are needed. Lines on standard input make
// them fail and recover; `help` lists the commands.
import { createInterface } from "node:readline";
import { type App, createApp } from "../../server/app.ts";
import { InvalidConfig } from "../../server/config/config.ts";
import { startLine } from "../../server/start-line.ts";
import type { LogFields, Logger } from "../../server/telemetry/logger.ts";
import { createConsole, helpText } from "./console.ts";
import { type Emulators, startEmulators } from "./emulators.ts";
import { openEmulated } from "./providers.ts";

const write = (text: string) => void process.stdout.write(text);

/** Writes log lines between the commands. */
function createPlainLogger(): Logger {
  const say = (fields: LogFields, message: string) => {
    const told = Object.entries(fields).filter(([name]) => name !== "sessionId");
    const words = told.map(([name, value]) => `${name}=${value}`).join(" ");
    write(`· ${message}${words && ` (${words})`}\n`);
  };
  return { debug: () => undefined, info: say, warn: say, error: say };
}

/** Starts the gateway and the console; `quit` is called when a line asks for it. */
async function start(emulators: Emulators, quit: () => void): Promise<App> {
  const logger = createPlainLogger();
  const onError = (tier: string, error: unknown) =>
    logger.warn({ tier, error: String(error) }, "provider not ready");
  const { config, languageModels, synthesizers, tiers } = openEmulated(emulators, onError);
  const app = createApp(config, { languageModels, synthesizers, logger });
  const addresses = await app.start();
  write(startLine(app.status(), addresses, config));
  write(helpText(tiers));
  const { take } = createConsole(tiers, app.status, write);
  // The end of the input does not quit: a gateway in the background has no input.
  createInterface({ input: process.stdin }).on("line", (line) => {
    if (take(line)) quit();
  });
  return app;
}

/** Runs until a line or a signal asks to quit. Rejects if the gateway cannot start. */
async function run(): Promise<void> {
  const quit = Promise.withResolvers<void>();
  const emulators = await startEmulators();
  try {
    // A second signal ends the process at once.
    process.once("SIGINT", quit.resolve);
    process.once("SIGTERM", quit.resolve);
    const app = await start(emulators, quit.resolve);
    await quit.promise;
    await app.stop();
  } finally {
    await emulators.stop();
  }
}

try {
  await run();
  process.exit(0);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  const about = error instanceof InvalidConfig ? "Invalid settings:\n" : "";
  process.stderr.write(`Parley cannot start. ${about}${reason}\n`);
  process.exit(1);
}
