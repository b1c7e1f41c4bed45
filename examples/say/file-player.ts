import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { exitCode, type Player } from "./players.ts";
import { createWavFile } from "./wav-output.ts";

/** A player of whole files, such as macOS has: it begins when the audio is whole. */
export function startFilePlayer(command: string): Player | undefined {
  if (!isOnPath(command)) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "say-"));
  const path = join(folder, "reply.wav");
  const file = createWavFile(path);
  let child: ChildProcess | undefined;

  const remove = () => rmSync(folder, { recursive: true, force: true });
  return {
    name: command,
    write: (bytes) => file.write(bytes),
    async end(signal) {
      await file.end(signal);
      child = spawn(command, [path], { stdio: "ignore" });
      return exitCode(child, signal).finally(remove);
    },
    kill() {
      child?.kill();
      remove();
    },
  };
}

function isOnPath(command: string): boolean {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.some((folder) => canRun(join(folder, command)));
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
