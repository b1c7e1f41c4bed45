import type { GatewayStatus, ProviderStatus } from "../../server/http/status.ts";
import type { EmulatorScript, FaultKind } from "../script.ts";
import { parseCommand, type TierFaults } from "./commands.ts";
import type { PlayedTier } from "./providers.ts";

/** Long enough for a person to see the breaker open. */
const retryAfterSeconds = 15;

/** What takes a person's lines. */
export type Console = {
  /** Does what the line says, and writes the answer. Returns true if it asks to quit. */
  take(line: string): boolean;
};

/** Makes a console over the tiers; each keeps its fault and its pace until they are set again. */
export function createConsole(
  tiers: readonly PlayedTier[],
  readStatus: () => GatewayStatus,
  write: (text: string) => void,
): Console {
  const faults: TierFaults = new Map(tiers.map(({ name, kinds }) => [name, kinds]));
  const scripts = new Map(tiers.map(({ name, ordinary }) => [name, ordinary]));
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

/** What each fault is, in few words. */
const meanings: Readonly<Record<FaultKind, string>> = {
  refuse: "no connection",
  unauthorized: "the key is wrong",
  forbidden: "the key may not do this",
  "rate-limit": "429, to be left alone for 15 s",
  quota: "the account is empty",
  "html-500": "status 500 with a page",
  hang: "nothing more comes",
  drip: "a byte at a time, which is no error",
  cut: "the connection breaks",
  empty: "ends without an answer",
  malformed: "what comes cannot be read",
  "wrong-rate": "sound at another rate, which is no error",
};

/** What there is to type. */
export function helpText(tiers: readonly PlayedTier[]): string {
  const faults = Object.entries(meanings).map(
    ([kind, meaning]) => `  ${kind.padEnd(13)} ${meaning}`,
  );
  return [
    "Every provider but local, tone and offline is an emulator on this machine. Type, and speak on the page:",
    "  TIER FAULT [N]     the tier fails so, from its next answer on; N: after N parts",
    "  TIER ok            the tier is well again; its breaker finds out when it is tried",
    "  slow TIER MS [MS]  milliseconds to its first part, and between two",
    "  status, help, quit",
    `Tiers: ${tiers.map(({ name }) => name).join(", ")}.`,
    "Faults:",
    ...faults,
    "For example: gemini-live rate-limit · gemini cut 3 · azure cut 3 · slow azure 400 · azure ok",
    "",
  ].join("\n");
}

/** How each tier stands: its breaker, its calls, its last error, and what was set by hand. */
export function statusText(
  status: GatewayStatus,
  scripts: ReadonlyMap<string, EmulatorScript>,
): string {
  const lines = status.providers.map((provider) => lineOf(provider, scripts.get(provider.name)));
  return `${lines.join("\n")}\n`;
}

/** What was done to a tier, in a line. */
export function changeText(tier: string, script: EmulatorScript): string {
  const { firstPartMs = 0, partMs = 0, fault } = script;
  const pace = `${firstPartMs} ms to its first part, ${partMs} ms between two`;
  return `${tier}: ${fault ? describeFault(fault) : "well"}; ${pace}\n`;
}

function lineOf(provider: ProviderStatus, script: EmulatorScript | undefined): string {
  const { kind, name, breaker, succeeded, failed, lastError } = provider;
  const calls = `${succeeded} well, ${failed} failed`;
  const set = script?.fault ? ` [set: ${describeFault(script.fault)}]` : "";
  const error = lastError === undefined ? "" : ` – last: ${lastError}`;
  return `${kind.padEnd(6)} ${name.padEnd(12)} ${breaker.padEnd(9)} ${calls}${set}${error}`;
}

function describeFault({ kind, afterParts = 0 }: NonNullable<EmulatorScript["fault"]>): string {
  return afterParts === 0 ? kind : `${kind} after ${afterParts} parts`;
}
