import { openFile } from "../../server/analysis/decoding/decode.ts";
import { toWindows } from "../../server/analysis/decoding/windows.ts";
import { serveCalls } from "../../server/analysis/serve-calls.ts";

// A process that decodes one file after another, as the gateway's own does one. Answers the samples.

serveCalls(async ({ file, maxSeconds }: { file: Uint8Array; maxSeconds: number }) => {
  const pieces = async function* () {
    for (let at = 0; at < file.length; at += 4096) yield file.subarray(at, at + 4096);
  };
  const { sound } = await openFile(pieces(), { folder: "none" });
  let samples = 0;
  for await (const window of toWindows(sound, { maxSeconds })) samples += window.length;
  return samples;
});
