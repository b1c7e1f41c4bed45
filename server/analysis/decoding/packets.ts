import { createRequire } from "node:module";
import { AnalysisError } from "../errors.ts";
import { mixDown, type Pcm } from "./mono.ts";

/** The codecs whose packets are decoded, by the first bytes of their first packet. */
export type PacketCodec = "vorbis" | "opus";

/** Decodes packet by packet. */
export type PacketDecoder = {
  /** A packet of the header, of which Vorbis has three and Opus two. */
  header(packet: Uint8Array): void;
  /** The sound of a packet; it may have none. */
  decode(packet: Uint8Array): Pcm;
};

/** How many packets of a stream are its header. */
export const headerPackets: Readonly<Record<PacketCodec, number>> = { vorbis: 3, opus: 2 };

/** The part of ogv's decoders that is used: libvorbis and libopus, packet by packet. */
type OgvModule = {
  readonly audioFormat: { readonly channels: number; readonly rate: number } | null;
  readonly audioBuffer: readonly Float32Array[] | null;
  init(done: () => void): void;
  processHeader(packet: ArrayBuffer, done: (isGood: number) => void): void;
  processAudio(packet: ArrayBuffer, done: (isGood: number) => void): void;
};

/** What Opus is decoded to, whatever was recorded. */
const OPUS_HZ = 48_000;
const require = createRequire(import.meta.url);
const load: Readonly<Record<PacketCodec, () => (options: object) => Promise<OgvModule>>> = {
  vorbis: () => require("ogv/dist/ogv-decoder-audio-vorbis-wasm.js"),
  opus: () => require("ogv/dist/ogv-decoder-audio-opus-wasm.js"),
};

/** Opens a decoder with memory of its own. */
export async function openPacketDecoder(codec: PacketCodec): Promise<PacketDecoder> {
  const module = await load[codec]()({});
  module.init(() => undefined);
  let headers = 0;
  const damaged = () =>
    new AnalysisError("invalid", `the file's ${names[codec]} cannot be decoded`);
  const run = (process: "processHeader" | "processAudio", packet: Uint8Array): void => {
    // The module reads the whole memory behind it.
    const { buffer } = Uint8Array.from(packet);
    module[process](buffer, (isGood) => {
      if (!isGood) throw damaged();
    });
  };
  return {
    header(packet) {
      run("processHeader", packet);
      headers += 1;
    },
    decode(packet) {
      const rate = codec === "opus" ? OPUS_HZ : module.audioFormat?.rate;
      if (headers < headerPackets[codec] || rate === undefined) throw damaged();
      run("processAudio", packet);
      return { pcm: mixDown(module.audioBuffer ?? []), sampleRateHz: rate };
    },
  };
}

/** How errors name the codecs. */
const names: Readonly<Record<PacketCodec, string>> = { vorbis: "Vorbis", opus: "Opus" };
