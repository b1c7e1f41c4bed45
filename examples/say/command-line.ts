import { randomUUID } from "node:crypto";
import { addAbortSignal } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { parseArgs } from "node:util";

/** What the gateway may be spoken to with. */
export const protocols = ["grpc", "grpc-web", "connect"] as const;
export type Protocol = (typeof protocols)[number];

/** What the user wants, checked. */
export type CommandLine = {
  /** Never blank. */
  readonly text: string;
  /** Where the audio goes: a file, "-" for standard output; undefined plays it. */
  readonly out?: string;
  readonly protocol: Protocol;
  /** Where the gateway is: `http://127.0.0.1:50051`. */
  readonly to: string;
  readonly device: string;
  /** True if the text is to be spoken as it stands, without asking a model. */
  readonly greeting: boolean;
  /** A voice by its provider's name; greetings only. */
  readonly voice?: string;
  /** True if progress and figures are not wanted. */
  readonly quiet: boolean;
};

export const help = `Usage: npm run say -- [options] TEXT

Sends TEXT to a Parley gateway, shows the reply and plays its voice while they arrive.
Without TEXT it reads standard input. Ctrl+C cancels the turn.

  --out FILE        write the audio to a WAV file ("-": to standard output) and play nothing
  --protocol NAME   grpc (default), grpc-web or connect
  --to URL          the gateway (default http://127.0.0.1:50051)
  --device ID       who is speaking; turns are interrupted by device (default: a new one)
  --greeting        have TEXT spoken as it stands, without asking a model
  --voice NAME      the voice of a --greeting, by its provider's name
  --quiet           no progress and no figures
  --help            this text
`;

/** The command line cannot be used. The message says why, and how it should look. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  constructor(problem: string) {
    super(`${problem}\n\n${help.trimEnd()}`);
  }
}

/**
 * Reads the arguments, and the text from `input` if they hold none. Throws `UsageError`, and the
 * signal's reason when it fires.
 */
export async function readCommandLine(
  args: readonly string[],
  input: NodeJS.ReadStream,
  signal: AbortSignal,
): Promise<CommandLine | "help"> {
  const { values, positionals } = parse(args);
  if (values.help) return "help";
  const { protocol, to, device = randomUUID(), greeting, voice, out, quiet } = values;
  const known = protocols.find((name) => name === protocol);
  if (!known) throw new UsageError(`--protocol must be one of ${protocols.join(", ")}.`);
  if (!/^https?:\/\//.test(to) || !URL.canParse(to)) {
    throw new UsageError("--to must be a URL such as http://127.0.0.1:50051.");
  }
  if (voice !== undefined && !greeting) {
    throw new UsageError("--voice needs --greeting: the gateway chooses the voice of a reply.");
  }
  const text = positionals.length > 0 ? positionals.join(" ") : await readInput(input, signal);
  if (text.trim() === "") throw new UsageError("There is no text to send.");
  const optional = { ...(out !== undefined && { out }), ...(voice !== undefined && { voice }) };
  return { text, protocol: known, to, device, greeting, quiet, ...optional };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: "string" },
        protocol: { type: "string", default: "grpc" },
        to: { type: "string", default: "http://127.0.0.1:50051" },
        device: { type: "string" },
        greeting: { type: "boolean", default: false },
        voice: { type: "string" },
        quiet: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** What was piped in, without the line break that `echo` adds. */
async function readInput(input: NodeJS.ReadStream, signal: AbortSignal): Promise<string> {
  if (input.isTTY) return "";
  return (await readText(addAbortSignal(signal, input))).replace(/\r?\n$/, "");
}
