import type { GatewayStatus, ProviderStatus } from "../../server/http/status.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";
import { parseCommand, type TierFaults } from "./commands.ts";
import type { PlayedTier } from "./providers.ts";

/** Long enough to see the circuit breaker open. */
const retryAfterSeconds = 15;

/** Executes lines of input. */
export type Console = {
  /** Executes a line and writes the result. Returns true if it asks to quit. */
  take(line: string): boolean;
};

/** Creates a console for the tiers. Each keeps its fault and delays until they are set again. */
export function createConsole(
  tiers: readonly PlayedTier[],
  readStatus: () => GatewayStatus,
  write: (text: string) => void,
): Console {
  const faults: TierFaults = new Map(tiers.map(({ name, kinds }) => [name, kinds]));
  const scripts = new Map(tiers.map(({ name, initial }) => [name, initial]));
  const change = (name: string, revise: (script: EmulatorScript) => EmulatorScript) => {
    const script = revise(scripts.get(name) ?? {});
    scripts.set(name, script);
    tiers.find((tier) => tier.name === name)?.play(script);
    write(changeText(name, script));
  };
  return {
    take(line) {
      const command = parseCommand(line, faults);
      switch (command.type) {
        case "quit":
          return true;
        case "help":
          write(helpText(tiers));
          break;
        case "status":
          write(statusText(readStatus(), scripts));
          break;
        case "unclear":
          write(`${command.message}\n`);
          break;
        case "slow":
          change(command.tier, (script) => ({ ...script, ...command.delays }));
          break;
        case "fault":
          change(command.tier, ({ fault: _, ...script }) =>
            command.fault ? { ...script, fault: { ...command.fault, retryAfterSeconds } } : script,
          );
      }
      return false;
    },
  };
}

/** A short description of each fault. */
const meanings: Readonly<Record<FaultKind, string>> = {
  refuse: "no connection",
  unauthorized: "the key is wrong",
  forbidden: "the key has no access",
  "rate-limit": "429, retry after 15 s",
  quota: "the account has no credit left",
  "html-500": "status 500 with an HTML page",
  hang: "no more data",
  drip: "byte by byte (not an error)",
  cut: "the connection breaks",
  empty: "ends without content",
  malformed: "invalid data",
  "wrong-rate": "audio at another rate (not an error)",
};

/** The help text. */
export function helpText(tiers: readonly PlayedTier[]): string {
  const faults = Object.entries(meanings).map(
    ([kind, meaning]) => `  ${kind.padEnd(13)} ${meaning}`,
  );
  return [
    "All providers except local, tone and offline are emulators on this machine. Commands:",
    "  TIER FAULT [N]     fail from the next response on, after N parts",
    "  TIER ok            recover; an open circuit closes with the next successful call",
    "  slow TIER MS [MS]  milliseconds before the first part, and between two",
    "  status, help, quit",
    `Tiers: ${tiers.map(({ name }) => name).join(", ")}.`,
    "Faults:",
    ...faults,
    "For example: gemini-live rate-limit · gemini cut 3 · azure cut 3 · slow azure 400 · azure ok",
    "",
  ].join("\n");
}

/** The status of each tier: circuit breaker, calls, last error, and the fault set here. */
function statusText(status: GatewayStatus, scripts: ReadonlyMap<string, EmulatorScript>): string {
  const lines = status.providers.map((provider) => lineOf(provider, scripts.get(provider.name)));
  return `${lines.join("\n")}\n`;
}

/** The new script of a tier, in one line. */
function changeText(tier: string, script: EmulatorScript): string {
  const { firstPartMs = 0, partMs = 0, fault } = script;
  const pace = `${firstPartMs} ms before the first part, ${partMs} ms between two`;
  return `${tier}: ${fault ? describeFault(fault) : "ok"}; ${pace}\n`;
}

function lineOf(provider: ProviderStatus, script: EmulatorScript | undefined): string {
  const { kind, name, breaker, succeeded, failed, lastError } = provider;
  const calls = `${succeeded} succeeded, ${failed} failed`;
  const set = script?.fault ? ` [set: ${describeFault(script.fault)}]` : "";
  const error = lastError === undefined ? "" : ` – last: ${lastError}`;
  return `${kind.padEnd(6)} ${name.padEnd(12)} ${breaker.padEnd(9)} ${calls}${set}${error}`;
}

function describeFault({ kind, afterParts = 0 }: NonNullable<EmulatorScript["fault"]>): string {
  return afterParts === 0 ? kind : `${kind} after ${afterParts} parts`;
}
