import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { createAligner, samplesOf } from "../../core/audio/pcm.ts";
import { createWavReader } from "../../core/audio/wav.ts";
import { ProviderError } from "../../core/errors.ts";
import type { SpeechPart, Synthesizer, Voice } from "../../models/synthesizer.ts";
import { createCall } from "./arguments.ts";
import { type Program, startProgram } from "./process.ts";

/** Options of the `command` tier. */
export type CommandOptions = {
  /**
   * The program and its arguments, with the placeholders `{text}`, `{voice}` and `{language}`; see
   * `createCall`.
   */
  readonly argv: readonly string[];
  /** The languages that it speaks: `ru`. Absent: any. */
  readonly languages?: readonly string[];
  /** Its output: a WAV file, or mono 16-bit little-endian PCM. */
  readonly format: "wav" | { readonly sampleRateHz: number };
  /** Limits the wait for a part, and for the program's exit after the last one. */
  readonly timeoutMs: number;
  /** The program's environment; the gateway's own, including keys, if absent. */
  readonly env?: Readonly<Record<string, string>>;
};

const name = "command";

/**
 * A voice that runs a program for each text: espeak-ng, piper, say. Yields its audio as it arrives. Kills
 * the program and its child processes when the turn is cancelled or the reader leaves. Throws an Error
 * if `argv` is empty.
 *
 * Errors: `connectivity` if the program cannot be started, `timeout` if it writes nothing for too long,
 * `server` if it fails, `protocol` if its output is empty or not audio.
 */
export function createCommandVoice(options: CommandOptions): Synthesizer {
  if (!options.argv[0]) throw new Error("a command voice needs a program");
  const { languages, argv } = options;
  const takesNames = argv.some((argument) => argument.includes("{voice}"));
  return {
    name,
    // A program that is told the voice may have any.
    ...(!takesNames && { voices: [] }),
    ...(languages && { languages }),
    synthesize: (text, voice, signal) => speak({ options, text, voice, signal }),
  };
}

type Run = {
  readonly options: CommandOptions;
  readonly text: string;
  readonly voice: Voice;
  readonly signal: AbortSignal;
};

async function* speak(run: Run): AsyncGenerator<SpeechPart> {
  throwIfAborted(run.signal);
  const program = open(run);
  // Not only in `finally`: a cancelled reader may never pull again.
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

function rethrowStart({ signal, options }: Run, error: unknown): never {
  throwIfAborted(signal);
  const code = error instanceof Error && "code" in error ? ` (${error.code})` : "";
  throw new ProviderError(name, "connectivity", `the program cannot be started${code}`, {
    cause: error,
    detail: options.argv[0],
  });
}

async function* readParts(run: Run, program: Program): AsyncGenerator<SpeechPart> {
  const decode = createDecoder(run.options.format);
  let isEmpty = true;
  for (;;) {
    throwIfAborted(run.signal);
    const part = await inTime(run, nextPart(program, decode));
    if (!part) break;
    isEmpty = false;
    yield part;
  }
  const end = await inTime(run, program.ended);
  if (end !== 0) throw new ProviderError(name, "server", describeEnd(end), detailsOf(program));
  if (isEmpty) throw new ProviderError(name, "protocol", "the program wrote no audio");
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

/** The next part with audio; undefined at the end of the output. */
async function nextPart({ output }: Program, decode: Decoder): Promise<SpeechPart | undefined> {
  try {
    for (let read = await output.next(); !read.done; read = await output.next()) {
      const part = decode(read.value);
      if (part.pcm.length > 0) return part;
    }
    return undefined;
  } catch (error) {
    // The decoder's messages are the gateway's own; a stream's come from the system.
    const isOwn = error instanceof Error && !("code" in error);
    const reason = isOwn ? error.message : "the output broke off";
    throw new ProviderError(name, "protocol", reason, { cause: error });
  }
}

/** Waits until the promise settles, the signal fires or the timeout expires. */
async function inTime<T>({ options, signal }: Run, promise: Promise<T>): Promise<T> {
  const settled = await within(abortable(promise, signal), options.timeoutMs);
  if (settled) return settled.value;
  throw new ProviderError(name, "timeout", `no output for ${options.timeoutMs} ms`);
}

/** The promise's value; undefined after the timeout. */
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
  return `the program ${typeof end === "number" ? `exited with code ${end}` : `was killed by ${end}`}`;
}

/**
 * Says that there was something to read, not what: a program may spell the text, cut it, or write its
 * numbers and sounds in another way, so that no filter finds them.
 */
function detailsOf({ errorBytes }: Program) {
  const bytes = errorBytes();
  if (bytes === 0) return {};
  const why = "may hold what was to be said";
  return { detail: `${bytes} bytes on stderr, not logged: they ${why}; run the program by hand` };
}
