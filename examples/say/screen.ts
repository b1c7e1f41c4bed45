import type { CommandLine } from "./command-line.ts";

/** What the person at the terminal sees. */
export type Screen = {
  showText(text: string): void;
  /** Counts bytes of audio that arrived, and shows how much there is. */
  countAudio(bytes: number): void;
  /** A line about something that did not go as wanted. */
  note(line: string): void;
  /** Ends the text and tells how the turn went. */
  showFigures(): void;
  /** Takes the progress away and ends a text that was begun. */
  clear(): void;
};

const BYTES_A_SECOND = 48_000 * 2;

// Terminal codes. The progress stands on the line below the text: make sure that there is one
// (down, up), remember the place, go down, write, return.
const BELOW = "\x1bD\x1bM\x1b7\x1bD\r\x1b[2K";
const BACK = "\x1b8";
const CLEAR_BELOW = "\x1b[J";

/**
 * Shows a turn: the text on standard output, or on standard error if the audio goes out there, and
 * progress and figures on standard error. The clock starts here.
 */
export function createScreen({ out, quiet }: Pick<CommandLine, "out" | "quiet">): Screen {
  const texts = out === "-" ? process.stderr : process.stdout;
  const progress = process.stderr.isTTY && !quiet;
  const begunMs = performance.now();
  const first: { textMs?: number; audioMs?: number } = {};
  let bytes = 0;
  let midLine = false;

  const sinceMs = () => Math.round(performance.now() - begunMs);
  const clear = () => {
    if (progress) process.stderr.write(CLEAR_BELOW);
    if (midLine) texts.write("\n");
    midLine = false;
  };
  return {
    showText(text) {
      first.textMs ??= sinceMs();
      if (progress) process.stderr.write(CLEAR_BELOW);
      texts.write(text);
      midLine = true;
    },
    countAudio(count) {
      first.audioMs ??= sinceMs();
      bytes += count;
      if (progress) process.stderr.write(`${BELOW}${amount(bytes)}${BACK}`);
    },
    note(line) {
      clear();
      process.stderr.write(`${line}\n`);
    },
    showFigures() {
      clear();
      if (quiet) return;
      const spans = [span("first text", first.textMs), span("first audio", first.audioMs)];
      process.stderr.write(`${spans.join(", ")}, ${amount(bytes)} in ${seconds(sinceMs())}\n`);
    },
    clear,
  };
}

function span(name: string, ms: number | undefined): string {
  return ms === undefined ? `no ${name.replace("first ", "")}` : `${name} after ${ms} ms`;
}

function amount(bytes: number): string {
  return `${seconds((bytes / BYTES_A_SECOND) * 1000)} of audio (${Math.round(bytes / 1000)} kB)`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
