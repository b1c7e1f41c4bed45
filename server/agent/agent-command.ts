import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { AgentUnavailable, systemCode } from "./unavailable.ts";

/** How the agent's program is found. */
export type CommandOptions = {
  /** `AGENT_COMMAND`: the program and its arguments. */
  readonly argv?: readonly string[];
  /** `AGENT_DIR`: a folder with a program for each platform. */
  readonly dir?: string;
};

/** The platform and the architecture of this machine, by Node's names. */
export type Machine = { readonly platform: string; readonly arch: string };

/** The program for a machine in `AGENT_DIR`: `linux-x64/neira-agent`, `win32-arm64/neira-agent.exe`. */
export function agentPath(dir: string, { platform, arch }: Machine): string {
  const name = platform === "win32" ? "neira-agent.exe" : "neira-agent";
  return join(dir, `${platform}-${arch}`, name);
}

/**
 * The agent's program and its arguments. A folder is looked up each time, so that a program that was
 * put there later is found. Throws `AgentUnavailable` if it has none for this machine.
 */
export async function findAgentCommand(
  { argv, dir }: CommandOptions,
  machine: Machine = process,
): Promise<readonly string[]> {
  if (argv !== undefined) return argv;
  if (dir === undefined) throw new AgentUnavailable("AGENT_COMMAND and AGENT_DIR are not set");
  const path = agentPath(dir, machine);
  await access(path, constants.X_OK).catch((error) => {
    const where = `${machine.platform}-${machine.arch}`;
    throw new AgentUnavailable(`AGENT_DIR has no program for ${where}${systemCode(error)}`);
  });
  return [path];
}
