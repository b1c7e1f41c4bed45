import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Codec, FILE_RATE_HZ } from "./codec.ts";

const BITRATE_KBPS = 64;
const wasm = "wasm-media-encoders/wasm/mp3";

/** Whether the package that holds LAME is installed: it is optional, because LAME's licence is the LGPL. */
export function hasMp3(): boolean {
  try {
    return import.meta.resolve(wasm) !== "";
  } catch {
    return false;
  }
}

let loading: ReturnType<typeof load> | undefined;

/** Opens an encoder of MP3, mono, by LAME. Rejects where `hasMp3` is false. */
export async function openMp3(): Promise<Codec> {
  loading ??= load();
  const encoder = await (await loading)();
  encoder.configure({ channels: 1, sampleRate: FILE_RATE_HZ, bitrate: BITRATE_KBPS });
  return {
    encode(pcm) {
      const samples = Float32Array.from(pcm, (sample) => sample / 32_768);
      // The bytes are the encoder's own memory, which it uses again.
      return [Uint8Array.from(encoder.encode([samples]))];
    },
    end: () => [Uint8Array.from(encoder.finalize())],
    free: () => undefined,
  };
}

/** Loads LAME, and returns what opens an encoder. Only the first one compiles it. */
async function load() {
  const { createEncoder } = await import("wasm-media-encoders");
  type Compiled = Exclude<Parameters<typeof createEncoder>[1], string>;
  let code: Compiled = await readFile(fileURLToPath(import.meta.resolve(wasm)));
  const keep = (compiled: Compiled) => {
    code = compiled;
  };
  return () => createEncoder("audio/mpeg", code, keep);
}
