import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type AudioEncoder, encodeInPieces } from "./audio-encoder.ts";

const BITRATE_KBPS = 64;
/** 100 ms at 24 kHz, which take about 3 ms. */
const PIECE_SAMPLES = 2400;

let loading: ReturnType<typeof load> | undefined;

/**
 * Opens an encoder of MP3, mono, by LAME. Undefined if the package that holds it is not installed: it is
 * optional, because LAME's licence is the LGPL.
 */
export async function openMp3Encoder(sampleRateHz: 24_000): Promise<AudioEncoder | undefined> {
  loading ??= load();
  const open = await loading;
  if (!open) return undefined;
  const encoder = await open();
  encoder.configure({ channels: 1, sampleRate: sampleRateHz, bitrate: BITRATE_KBPS });
  return {
    push: (pcm) =>
      encodeInPieces(pcm, PIECE_SAMPLES, (piece) => {
        const samples = Float32Array.from(piece, (sample) => sample / 32_768);
        // The bytes are the encoder's own memory, which it uses again.
        return Uint8Array.from(encoder.encode([samples]));
      }),
    end: () => Uint8Array.from(encoder.finalize()),
  };
}

/** Loads LAME, and returns what opens an encoder. Only the first one compiles it. */
async function load() {
  try {
    const { createEncoder } = await import("wasm-media-encoders");
    type Compiled = Exclude<Parameters<typeof createEncoder>[1], string>;
    let code: Compiled = await readFile(
      fileURLToPath(import.meta.resolve("wasm-media-encoders/wasm/mp3")),
    );
    const keep = (compiled: Compiled) => {
      code = compiled;
    };
    return () => createEncoder("audio/mpeg", code, keep);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") {
      return undefined;
    }
    throw error;
  }
}
