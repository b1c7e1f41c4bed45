/** Encodes one voice: mono, 16 bit. */
export type AudioEncoder = {
  /** Takes samples and returns the bytes that are ready, perhaps none. */
  push(pcm: Int16Array): Uint8Array | Promise<Uint8Array>;
  /** Returns the rest. The last call. */
  end(): Uint8Array | Promise<Uint8Array>;
  /** Frees the encoder, at its end or before; calls after that fail. May be called twice. */
  close?(): void;
};
