import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { wavHeader } from "../../server/core/audio/wav.ts";

/** A player that runs. */
export type Player = {
  readonly name: string;
  /** Takes 48 kHz mono s16le, and keeps what cannot be played yet. */
  write(bytes: Uint8Array): Promise<void> | void;
  /** No more comes: resolves with the exit code when all was heard. Throws when the signal fires. */
  end(signal: AbortSignal): Promise<number>;
  kill(): void;
};

type Program = {
  readonly command: string;
  readonly args: readonly string[];
  /** True if it must be told by a WAV header what the samples are. */
  readonly header?: boolean;
};

/** Programs that play what comes on their standard input, in the order in which they are tried. */
const programs: readonly Program[] = [
  {
    command: "play",
    args: ["-q", "-t", "raw", "-r", "48000", "-c", "1", "-e", "signed", "-b", "16", "-L", "-"],
  },
  { command: "paplay", args: ["--raw", "--format=s16le", "--rate=48000", "--channels=1"] },
  { command: "aplay", args: ["-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1", "-"] },
  { command: "ffplay", args: ["-nodisp", "-autoexit", "-loglevel", "error", "-"], header: true },
  { command: "mpv", args: ["--no-video", "--really-quiet", "-"], header: true },
];

/** The names of the programs that `startPlayer` knows. */
export const playerNames: readonly string[] = programs.map(({ command }) => command);

/** Starts the first player that this machine has; undefined if it has none. */
export async function startPlayer(): Promise<Player | undefined> {
  for (const { command, args, header } of programs) {
    const child = spawn(command, args, { stdio: ["pipe", "ignore", "ignore"] });
    // A player that stops early closes its input; its exit code tells more.
    child.stdin.on("error", () => undefined);
    if (!(await hasStarted(child))) continue;
    if (header) child.stdin.write(wavHeader({ sampleRateHz: 48_000, channels: 1 }));
    return {
      name: command,
      // Not waiting for `drain`: it plays in real time, and a gateway that is made to wait for it
      // would cut the turn off.
      write: (bytes) => void child.stdin.write(bytes),
      end(signal) {
        child.stdin.end();
        return exitCode(child, signal);
      },
      kill: () => void child.kill(),
    };
  }
  return undefined;
}

async function hasStarted(child: ChildProcess): Promise<boolean> {
  try {
    await once(child, "spawn");
    return true;
  } catch {
    return false;
  }
}

/** Waits for the program's end, which may have come already. */
export async function exitCode(child: ChildProcess, signal: AbortSignal): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit", { signal });
  return child.exitCode ?? 1;
}
