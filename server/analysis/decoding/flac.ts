import Flac from "libflacjs/dist/libflac.js";
import { AnalysisError } from "../errors.ts";
import { truncated } from "./byte-reader.ts";
import { mixDown, type Pcm } from "./mono.ts";

/** More than a frame has: one is decoded only when all of it is there. */
const AHEAD_BYTES = 1024 * 1024;
const END_OF_STREAM = 4;
/** States that a decoder can go on from. */
const LAST_GOOD_STATE = 4;

/** Decodes FLAC. A frame whose checksum is wrong is an error. */
export async function* decodeFlac(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Pcm> {
  const decoder = await openDecoder();
  let samples = 0;
  const take = function* () {
    for (const frame of decoder.take()) {
      samples += frame.pcm.length;
      yield frame;
    }
  };
  for await (const piece of bytes) {
    decoder.push(piece);
    while (decoder.waiting() >= AHEAD_BYTES && decoder.step()) yield* take();
  }
  while (decoder.step()) yield* take();
  yield* take();
  if (samples === 0) throw new AnalysisError("invalid", "the file holds no FLAC that can be decoded");
  if (samples < decoder.promised()) throw truncated("FLAC");
}

async function openDecoder() {
  if (!Flac.isReady()) await new Promise<void>((resolve) => Flac.on("ready", () => resolve()));
  const id = Flac.create_libflac_decoder(false);
  const pieces: Uint8Array[] = [];
  let waiting = 0;
  let promised = 0;
  let fault: string | undefined;
  let frames: Pcm[] = [];
  const read = (count: number) => {
    const [first] = pieces;
    if (first === undefined) return { buffer: undefined, readDataLength: 0 as const };
    // A copy: libflacjs reads the whole memory behind it.
    const buffer = Uint8Array.from(first.subarray(0, count));
    if (first.length <= count) pieces.shift();
    else pieces[0] = first.subarray(count);
    waiting -= buffer.length;
    return { buffer, readDataLength: buffer.length };
  };
  const status = Flac.init_decoder_stream(
    id,
    read,
    (channels, { bitsPerSample, sampleRate }) => {
      const samples = channels.map((channel) => toFloats(channel, bitsPerSample));
      frames.push({ pcm: mixDown(samples, 2 ** (bitsPerSample - 1)), sampleRateHz: sampleRate });
    },
    (_code, description) => {
      fault = String(description);
    },
    (metadata) => {
      promised = metadata?.total_samples ?? 0;
    },
  );
  if (id === 0 || status !== 0) throw new Error(`libFLAC does not begin: ${status}`);
  return {
    push(piece: Uint8Array) {
      pieces.push(piece);
      waiting += piece.length;
    },
    waiting: () => waiting,
    promised: () => promised,
    take() {
      const taken = frames;
      frames = [];
      return taken;
    },
    /** Decodes a frame, or a block of metadata. False at the end. */
    step(): boolean {
      const isGood = Flac.FLAC__stream_decoder_process_single(id);
      const state = Flac.FLAC__stream_decoder_get_state(id);
      if (fault !== undefined || !isGood || state > LAST_GOOD_STATE) {
        throw new AnalysisError("invalid", "the file's FLAC is damaged", fault);
      }
      return state !== END_OF_STREAM;
    },
  };
}

/** Samples of one channel: whole bytes each, little-endian. */
function toFloats(bytes: Uint8Array, bits: number): Float32Array {
  const width = Math.ceil(bits / 8);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples = new Float32Array(Math.floor(bytes.length / width));
  for (let at = 0; at < samples.length; at++) samples[at] = view.readIntLE(at * width, width);
  return samples;
}
