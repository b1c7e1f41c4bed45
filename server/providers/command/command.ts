import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { createAligner, samplesOf } from "../../core/audio/pcm.ts";
import { createWavReader } from "../../core/audio/wav.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart, Synthesizer, Voice } from "../../models/synthesizer.ts";
import { createCall } from "./arguments.ts";
import { type Program, startProgram } from "./process.ts";

/** A program that speaks. */
export type CommandOptions = {
  /**
   * The program and its arguments, where `{text}`, `{voice}` and `{language}` are filled in; see
   * `createCall`. Without `{text}` the text goes to standard input.
   */
  readonly argv: readonly string[];
  /** What it writes to standard output: a WAV file, or mono PCM of 16 bits, little-endian. */
  readonly format: "wav" | { readonly sampleRateHz: number };
  /** How long a pulled part may take, and the program's end after the last one. */
  readonly timeoutMs: number;
  /** The tier's name; "command" if absent. */
  readonly name?: string;
  /** The program's whole environment; the gateway's own, keys and all, if absent. */
  readonly env?: Readonly<Record<string, string>>;
};

/** How long whoever the program left behind may still hold its standard error. */
const closeGraceMs = 1_000;
/** Shorter words of the text are such as any message holds. */
const shortestSecret = 3;

/**
 * A voice that is a program: espeak-ng, piper, say. It is started for each text, its audio is handed
 * on as it comes, and it is killed with all that it started when the turn is cancelled or the reader
 * leaves. Throws an Error if `argv` names no program.
 *
 * Faults: "connectivity" if it cannot be started, "timeout" if it is silent for too long, "server"
 * if it fails, "protocol" if what it writes is not audio, or nothing.
 */
export function createCommandVoice(options: CommandOptions): Synthesizer {
  if (!options.argv[0]) throw new Error("a command voice needs a program");
  const name = options.name ?? "command";
  return {
    name,
    synthesize: (text, voice, signal) => speak({ options, name, text, voice, signal }),
  };
}

type Run = {
  readonly options: CommandOptions;
  readonly name: string;
  readonly text: string;
  readonly voice: Voice;
  readonly signal: AbortSignal;
};

async function* speak(run: Run): AsyncGenerator<SpeechPart> {
  throwIfAborted(run.signal);
  const program = open(run);
  // Not in `finally` alone: a reader that is cancelled may never come back for the next part.
  const dispose = onAbort(run.signal, program.kill);
  try {
    await abortable(program.started, run.signal).catch((error) => rethrowStart(run, error));
    yield* readParts(run, program);
  } finally {
    dispose();
    program.kill();
    await program.ended;
  }
}

function open(run: Run): Program {
  try {
    return startProgram(createCall(run.options.argv, run.text, run.voice), run.options.env);
  } catch (error) {
    return rethrowStart(run, error);
  }
}

function rethrowStart({ signal, name, options }: Run, error: unknown): never {
  throwIfAborted(signal);
  const code = error instanceof Error && "code" in error ? ` (${error.code})` : "";
  throw new ProviderError(name, "connectivity", `the program cannot be started${code}`, {
    cause: error,
    detail: options.argv[0],
  });
}

async function* readParts(run: Run, program: Program): AsyncGenerator<SpeechPart> {
  const decode = createDecoder(run.options.format);
  let heard = false;
  for (;;) {
    throwIfAborted(run.signal);
    const part = await inTime(run, nextPart(run, program, decode));
    if (!part) break;
    heard = true;
    yield part;
  }
  const end = await inTime(run, program.ended);
  await within(program.closed, closeGraceMs);
  if (end !== 0) {
    const detail = withoutWords(program.errorText(), run.text);
    throw new ProviderError(run.name, "server", describeEnd(end), { detail });
  }
  if (!heard) throw new ProviderError(run.name, "protocol", "the program wrote no audio");
}

type Decoder = (bytes: Uint8Array) => SpeechPart;

function createDecoder(format: CommandOptions["format"]): Decoder {
  if (format === "wav") {
    const reader = createWavReader();
    return (bytes) => ({ pcm: reader.push(bytes), sampleRateHz: reader.sampleRateHz ?? 0 });
  }
  const align = createAligner(2);
  return (bytes) => ({ pcm: samplesOf(align(bytes)), sampleRateHz: format.sampleRateHz });
}

/** The next part that holds audio; nothing at the end of the output. */
async function nextPart(
  { name }: Run,
  { output }: Program,
  decode: Decoder,
): Promise<SpeechPart | undefined> {
  try {
    for (let read = await output.next(); !read.done; read = await output.next()) {
      const part = decode(read.value);
      if (part.pcm.length > 0) return part;
    }
    return undefined;
  } catch (error) {
    // The decoder's errors are the gateway's own words, a stream's are the system's.
    const isOwn = error instanceof Error && !("code" in error);
    const reason = isOwn ? error.message : "its output broke off";
    throw new ProviderError(name, "protocol", reason, { cause: error });
  }
}

/** Waits until the promise settles, the signal fires or the time is over. */
async function inTime<T>({ name, options, signal }: Run, promise: Promise<T>): Promise<T> {
  const settled = await within(abortable(promise, signal), options.timeoutMs);
  if (settled) return settled.value;
  throw new ProviderError(name, "timeout", `silent for ${options.timeoutMs} ms`);
}

/** The promise's value if it comes in time. */
async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
): Promise<{ value: T } | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, timeoutMs, undefined);
  try {
    return await Promise.race([promise.then((value) => ({ value })), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function describeEnd(end: number | string): string {
  return `the program ${typeof end === "number" ? `ended with code ${end}` : `was ended by ${end}`}`;
}

/** What the program wrote, without the words of what was to be said: they are no business of logs. */
function withoutWords(written: string, text: string): string {
  const all = text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  const words = new Set(all.map((word) => word.toLowerCase()));
  return written.replace(/[\p{L}\p{M}\p{N}]+/gu, (word) => {
    const isTelling = word.length >= shortestSecret || /\p{N}/u.test(word);
    return isTelling && words.has(word.toLowerCase()) ? "…" : word;
  });
}
