import { type FileHandle, open } from "node:fs/promises";
import { abortable } from "../../server/core/async.ts";
import { wavHeader } from "../../server/core/audio/wav.ts";
import type { Sound } from "./sound.ts";

const format = { sampleRateHz: 48_000, channels: 1 };

/** A WAV file. Its header tells the length once that is known, also of a turn that ended early. */
export function createWavFile(path: string): Sound {
  let file: FileHandle | undefined;
  let dataBytes = 0;

  const openFile = async () => {
    const opened = await open(path, "w");
    await opened.write(wavHeader(format));
    return opened;
  };
  const close = async () => {
    await file?.write(wavHeader({ ...format, dataBytes }), 0, 44, 0);
    await file?.close();
  };
  return {
    async write(bytes) {
      file ??= await openFile();
      await file.write(bytes);
      dataBytes += bytes.length;
    },
    async end() {
      file ??= await openFile();
      await close();
    },
    cancel: close,
  };
}

/** WAV on standard output, with an open length: what stands in a pipe cannot be changed later. */
export function createWavOutput(): Sound {
  let begun = false;

  const begin = () => {
    if (!begun) process.stdout.write(wavHeader(format));
    begun = true;
  };
  return {
    // Not waiting for the reader, which may play in real time: a gateway that is made to wait for it
    // would cut the turn off.
    async write(bytes) {
      begin();
      process.stdout.write(bytes);
    },
    async end(signal) {
      begin();
      const { promise, resolve } = Promise.withResolvers<void>();
      process.stdout.end(resolve);
      await abortable(promise, signal);
    },
    cancel: async () => undefined,
  };
}
