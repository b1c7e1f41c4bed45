import { createOggOpusWriter } from "../core/audio/ogg-opus.ts";
import { type Encoders, type OpusEncoder, PRE_SKIP_SAMPLES } from "./encoders.ts";

/** Encodes one voice, 48 kHz mono, as an Ogg file in Opus at 32 kbit/s. One call at a time. */
export type OggOpusFile = {
  /** Takes samples and returns the bytes that are ready, perhaps none. */
  push(pcm: Int16Array): Promise<Uint8Array>;
  /** Returns the rest, with the file's end. The last call. */
  end(): Promise<Uint8Array>;
  /** Frees the encoder, at its end or before. May be called twice. */
  close(): void;
};

const none = new Uint8Array(0);

/**
 * Begins a file. Its encoder is opened with the first sound: a turn that fails before it needs none. Once
 * `signal` fires, calls throw its reason.
 */
export function createOggOpusFile(encoders: Encoders, signal: AbortSignal): OggOpusFile {
  const file = createOggOpusWriter(PRE_SKIP_SAMPLES, Math.floor(Math.random() * 2 ** 32));
  let encoder: OpusEncoder | undefined;
  return {
    async push(pcm) {
      if (pcm.length === 0) return none;
      encoder ??= encoders.openOpus(signal);
      const packets = await encoder.push(pcm);
      return packets.length > 0 ? file.push(packets) : none;
    },
    end: async () => file.end((await encoder?.end()) ?? []),
    close: () => encoder?.close(),
  };
}
