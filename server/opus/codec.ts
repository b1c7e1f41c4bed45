import { createRequire } from "node:module";
import type OpusScript from "opusscript";

/** Samples of a packet: 20 ms at 48 kHz. */
export const PACKET_SAMPLES = 960;

const RATE_HZ = 48_000;
const BITRATE = 32_000;

/** Encodes one voice, packet by packet, on this thread. */
export type PacketEncoder = {
  /** Encodes `PACKET_SAMPLES` samples. The packet has memory of its own. */
  encode(pcm: Int16Array): Uint8Array<ArrayBuffer>;
  /** Frees the encoder. */
  free(): void;
};

/** What `@evan/opus` has, as far as it is used: the package is optional, and so are its types. */
type EvanOpus = {
  readonly Encoder: new (options: {
    readonly channels: 1;
    readonly sample_rate: typeof RATE_HZ;
    readonly application: "audio";
  }) => { bitrate: number; encode(pcm: Int16Array): Uint8Array };
};

const require = createRequire(import.meta.url);

/** Opens encoders with `@evan/opus` where somebody installed it, which is faster; else with `opusscript`. */
export function loadCodec(): () => PacketEncoder {
  try {
    const { Encoder }: EvanOpus = require("@evan/opus");
    return () => openEvan(Encoder);
  } catch {
    return openScript;
  }
}

function openEvan(Encoder: EvanOpus["Encoder"]): PacketEncoder {
  const encoder = new Encoder({ channels: 1, sample_rate: RATE_HZ, application: "audio" });
  encoder.bitrate = BITRATE;
  return { encode: (pcm) => Uint8Array.from(encoder.encode(pcm)), free: () => undefined };
}

/** The fields of an OpusScript that its types omit. */
type Input = { inPCM: Uint16Array; readonly inPCMPointer: number; readonly inPCMLength: number };

function openScript(): PacketEncoder {
  const Script: typeof OpusScript = require("opusscript");
  const script = new Script(RATE_HZ, 1, Script.Application.AUDIO);
  // Version 0.1.1 takes the pointer, which counts bytes, for an index of 16-bit numbers: from about the
  // 25th encoder on, its input would overwrite the memory of others.
  const input = script as unknown as Input;
  const { inPCM, inPCMPointer, inPCMLength } = input;
  input.inPCM = new Uint16Array(inPCM.buffer, inPCMPointer, inPCMLength / 2);
  script.setBitrate(BITRATE);
  return {
    encode(pcm) {
      const bytes = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
      return Uint8Array.from(script.encode(bytes, PACKET_SAMPLES));
    },
    free: () => script.delete(),
  };
}
