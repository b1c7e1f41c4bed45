import type { GatewayStatus } from "../../server/http/status.ts";
import type { EmulatorScript } from "../script.ts";
import { parseCommand, type TierFaults } from "./commands.ts";
import type { PlayedTier } from "./providers.ts";
import { changeText, helpText, statusText } from "./words.ts";

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
