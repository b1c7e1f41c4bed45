import { createWriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { finished } from "node:stream/promises";
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
  // Not process.stdout: where that is a pipe it makes everything wait for whoever reads it.
  const output = createWriteStream("", { fd: 1, autoClose: false });
  const failed = finished(output, { readable: false });
  failed.catch(() => undefined);
  let begun = false;

  const begin = () => {
    if (!begun) output.write(wavHeader(format));
    begun = true;
  };
  return {
    async write(bytes) {
      begin();
      output.write(bytes);
    },
    async end() {
      begin();
      output.end();
      await failed;
    },
    cancel: async () => void output.destroy(),
  };
}
