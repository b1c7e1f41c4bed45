import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { agentPath, findAgentCommand } from "./agent-command.ts";

const dir = await mkdtemp(join(tmpdir(), "agent-command-"));
afterAll(() => rm(dir, { recursive: true }));

const machines = [
  ["linux", "x64", "linux-x64/neira-agent"],
  ["linux", "arm64", "linux-arm64/neira-agent"],
  ["darwin", "x64", "darwin-x64/neira-agent"],
  ["darwin", "arm64", "darwin-arm64/neira-agent"],
  ["win32", "x64", "win32-x64/neira-agent.exe"],
  ["win32", "arm64", "win32-arm64/neira-agent.exe"],
] as const;

describe("findAgentCommand", () => {
  it.each(machines)("finds the program of %s on %s", async (platform, arch, name) => {
    const path = join(dir, name);
    const machine = { platform, arch };
    const missing = `AGENT_DIR has no program for ${platform}-${arch} (ENOENT)`;
    await expect(findAgentCommand({ dir }, machine)).rejects.toThrow(missing);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, "", { mode: 0o755 });
    expect(await findAgentCommand({ dir }, machine)).toEqual([path]);
    expect(agentPath(dir, machine)).toBe(path);
  });

  it("refuses a program that may not be executed", async () => {
    const path = join(dir, "linux-riscv64/neira-agent");
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, "");
    await chmod(path, 0o644);
    const found = findAgentCommand({ dir }, { platform: "linux", arch: "riscv64" });
    await expect(found).rejects.toThrow("linux-riscv64 (EACCES)");
  });

  it("prefers AGENT_COMMAND, and says what to set without either", async () => {
    expect(await findAgentCommand({ argv: ["python3", "agent.py"], dir })).toEqual([
      "python3",
      "agent.py",
    ]);
    await expect(findAgentCommand({})).rejects.toThrow("AGENT_COMMAND and AGENT_DIR are not set");
  });
});
