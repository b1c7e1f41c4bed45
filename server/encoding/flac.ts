import Flac from "libflacjs/dist/libflac.js";
import { type Codec, FILE_RATE_HZ } from "./codec.ts";

/** Takes half the time of the default (5), for files that are hardly larger where somebody speaks. */
const COMPRESSION = 2;
const BLOCK_SAMPLES = 1152;

/** Opens an encoder of FLAC, mono and 16 bit, by libFLAC. The file's length is open. */
export async function openFlac(): Promise<Codec> {
  if (!Flac.isReady()) await new Promise<void>((resolve) => Flac.on("ready", () => resolve()));
  const id = Flac.create_libflac_encoder(FILE_RATE_HZ, 1, 16, COMPRESSION, 0, false, BLOCK_SAMPLES);
  if (id === 0) throw new Error("libFLAC has no memory left");
  let ready: Uint8Array<ArrayBuffer>[] = [];
  const take = () => {
    const bytes = ready;
    ready = [];
    return bytes;
  };
  // The bytes are the encoder's own memory, which it uses again.
  const status = Flac.init_encoder_stream(id, (bytes) => void ready.push(Uint8Array.from(bytes)));
  if (status !== 0) throw new Error(`libFLAC does not begin: ${status}`);
  return {
    encode(pcm) {
      Flac.FLAC__stream_encoder_process_interleaved(id, Int32Array.from(pcm), pcm.length);
      return take();
    },
    end() {
      Flac.FLAC__stream_encoder_finish(id);
      return take();
    },
    free: () => void Flac.FLAC__stream_encoder_delete(id),
  };
}
