import { setTimeout as sleep } from "node:timers/promises";
import { type App, createApp } from "./app.ts";
import { type Config, InvalidConfig, readConfig } from "./config/config.ts";
import { describeSettings } from "./config/settings.ts";
import { startLine } from "./start-line.ts";
import { openStandardError } from "./telemetry/log-buffer.ts";
import { createLogger, prettyOutput } from "./telemetry/logger.ts";

/** Within this time it turns out that a key is refused or a model's file is missing. */
const PROBLEMS_SHOW_MS = 500;

/** How long the exit waits for the rest of the log to be read. */
const LOG_FLUSH_MS = 1000;

/**
 * Signals this close together count as one: a closing terminal sends SIGHUP through its shell and by
 * itself, and npm repeats the terminal's SIGINT.
 */
const SAME_SIGNAL_MS = 500;

const log = openStandardError();

function printHelp(): void {
  process.stdout.write(
    "Usage: npm start\n\nSettings, from the environment and the file that CONFIG_FILE names:\n\n",
  );
  for (const { name, default: value, about } of describeSettings()) {
    process.stdout.write(`  ${name}${value && ` (${value})`}\n      ${about}\n`);
  }
}

async function exit(code: number): Promise<never> {
  await log.flush(LOG_FLUSH_MS);
  process.exit(code);
}

/**
 * Stops at the first signal. A later one ends the process at once. SIGHUP reloads the certificate of a
 * gateway that has one and runs without a terminal; otherwise it tells that the terminal closes.
 */
function stopOnSignal({ stop, reloadCertificate }: App, { tls }: Config): void {
  let firstMs: number | undefined;
  const onSignal = () => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      void stop().then(() => exit(0));
    } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  };
  const isService = !process.stdin.isTTY && !process.stdout.isTTY;
  const onHangUp = tls && isService ? () => void reloadCertificate() : onSignal;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, onSignal);
  process.on("SIGHUP", onHangUp);
}

async function run(): Promise<void> {
  const config = readConfig();
  const output = process.stderr.isTTY ? await prettyOutput(log) : log;
  const logger = createLogger(config.logLevel, { rooms: config.logRooms, output });
  // Some libraries log there. Standard error itself would buffer without a bound when nobody reads.
  console.error = (message, reason) =>
    logger.error({ error: String(reason ?? "") }, String(message));
  const app = createApp(config, { logger });
  stopOnSignal(app, config);
  const addresses = await app.start();
  const { gemini, azure, kokoro } = config.providers;
  if (gemini || azure || kokoro) await sleep(PROBLEMS_SHOW_MS);
  process.stdout.write(startLine(app.status(), addresses, config));
}

if (process.argv.includes("--help")) {
  printHelp();
} else {
  await run().catch(async (error: Error) => {
    const reason =
      error instanceof InvalidConfig ? `Invalid settings:\n${error.message}` : error.message;
    log.write(`Parley cannot start. ${reason}\n`);
    await exit(1);
  });
}
