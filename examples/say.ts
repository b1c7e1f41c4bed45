// Speaks with a gateway from a terminal: npm run say -- "Hello"
import { openReply } from "./say/call.ts";
import { type CommandLine, help, readCommandLine, UsageError } from "./say/command-line.ts";
import { explain } from "./say/failure.ts";
import { createScreen } from "./say/screen.ts";
import type { Sound } from "./say/sound.ts";
import { createSpeaker } from "./say/speaker.ts";
import { createWavFile, createWavOutput } from "./say/wav-output.ts";

/** Runs one turn: shows its text and hands its audio on while they arrive. */
async function say(command: CommandLine, signal: AbortSignal): Promise<void> {
  const screen = createScreen(command);
  const sound = openSound(command.out, screen.note);
  try {
    for await (const step of openReply(command, signal)) {
      if (step.type === "text") {
        screen.showText(step.text);
      } else {
        screen.countAudio(step.bytes.length);
        await sound.write(step.bytes);
      }
    }
    screen.showFigures();
    await sound.end(signal);
  } catch (error) {
    screen.clear();
    await sound.cancel();
    throw new Error(explain(error, command.to), { cause: error });
  }
}

function openSound(out: string | undefined, note: (line: string) => void): Sound {
  if (out === undefined) return createSpeaker(note);
  return out === "-" ? createWavOutput() : createWavFile(out);
}

/** Does what the command line says. Answers the exit code. */
async function run(signal: AbortSignal): Promise<number> {
  try {
    const command = await readCommandLine(process.argv.slice(2), process.stdin, signal);
    if (command === "help") process.stdout.write(help);
    else await say(command, signal);
    return 0;
  } catch (error) {
    const message = signal.aborted ? "cancelled" : (error as Error).message;
    process.stderr.write(`${message}\n`);
    if (signal.aborted) return 130;
    return error instanceof UsageError ? 2 : 1;
  }
}

const interrupt = new AbortController();
process.once("SIGINT", () => interrupt.abort());
// Whoever read the text has left ("| head -1"): nobody listens any more, and the turn is to end.
let isRead = true;
process.stdout.on("error", () => {
  isRead = false;
  interrupt.abort();
});
// An HTTP/2 connection with something left unread would keep the process alive.
const code = await run(interrupt.signal);
process.exit(isRead ? code : 1);
