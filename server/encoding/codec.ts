import { createRequire } from "node:module";
import type OpusScript from "opusscript";

/** Samples of a packet: 20 ms at 48 kHz. */
export const PACKET_SAMPLES = 960;

/** The rate that encoders of files take. */
export const FILE_RATE_HZ = 24_000;

const RATE_HZ = 48_000;
const BITRATE = 32_000;

/** Encodes one voice on this thread: as packets, or as pieces of a file, which have memory of their own. */
export type Codec = {
  encode(pcm: Int16Array): readonly Uint8Array<ArrayBuffer>[];
  /** Returns the rest. The last call but `free`. */
  end(): readonly Uint8Array<ArrayBuffer>[];
  /** Frees the encoder. */
  free(): void;
};

/** Encodes Opus, packet by packet. */
type PacketEncoder = {
  /** Encodes `PACKET_SAMPLES` samples. */
  encode(pcm: Int16Array): Uint8Array<ArrayBuffer>;
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

let openPackets: (() => PacketEncoder) | undefined;

/** Opens an encoder of Opus. It takes whole packets. */
export function openOpus(): Codec {
  openPackets ??= loadPackets();
  const { encode, free } = openPackets();
  return {
    encode: (pcm) =>
      Array.from({ length: pcm.length / PACKET_SAMPLES }, (_, at) =>
        encode(pcm.subarray(at * PACKET_SAMPLES, (at + 1) * PACKET_SAMPLES)),
      ),
    end: () => [],
    free,
  };
}

/** Opens encoders with `@evan/opus` where somebody installed it, which is faster; else with `opusscript`. */
function loadPackets(): () => PacketEncoder {
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
