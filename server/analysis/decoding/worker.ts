import { serveCalls } from "../serve-calls.ts";
import { type DecodeOptions, openFile } from "./decode.ts";
import { type SoundLimits, toWindows } from "./windows.ts";

// A process that decodes one file, which comes by its standard input. Its argument is `DecodingOptions`.

/** What the process is started with. */
export type DecodingOptions = DecodeOptions & SoundLimits;

/** What the process is asked: the next window, or all of the sound at once, unseen. */
export type DecodingRequest = { readonly type: "next" | "measure" };

/** The next window; absent behind the last one. */
export type NextAnswer = { readonly window?: Int16Array };

/** A file's sound. */
export type Measured = {
  /** What the file is, by its content: `mp3`. */
  readonly format: string;
  /** At 16 kHz. */
  readonly samples: number;
};

const options = JSON.parse(process.argv[2] ?? "") as DecodingOptions;
let opened: ReturnType<typeof open> | undefined;

async function open() {
  const { format, sound } = await openFile(process.stdin, options);
  return { format, windows: toWindows(sound, options)[Symbol.asyncIterator]() };
}

serveCalls(async ({ type }: DecodingRequest): Promise<NextAnswer | Measured> => {
  opened ??= open();
  const { format, windows } = await opened;
  if (type === "next") {
    const { value } = await windows.next();
    return value ? { window: value } : {};
  }
  let samples = 0;
  for (let step = await windows.next(); !step.done; step = await windows.next()) {
    samples += step.value.length;
  }
  return { format, samples };
});
