/** Encodes one voice: mono, 16 bit. */
export type AudioEncoder = {
  /** Takes samples and returns the bytes that are ready, perhaps none. */
  push(pcm: Int16Array): Uint8Array | Promise<Uint8Array>;
  /** Returns the rest. The last call. */
  end(): Uint8Array | Promise<Uint8Array>;
  /** Frees the encoder, at its end or before. What is pushed later is dropped. May be called twice. */
  close?(): void;
};

/**
 * Encodes a long part in pieces of `samples`, with a turn of the event loop between them: an encoder that
 * runs on this thread holds it for a few milliseconds at most.
 */
export async function encodeInPieces(
  pcm: Int16Array,
  samples: number,
  encode: (piece: Int16Array) => Uint8Array,
): Promise<Uint8Array> {
  const encoded: Uint8Array[] = [];
  for (let at = 0; at < pcm.length; at += samples) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    encoded.push(encode(pcm.subarray(at, at + samples)));
  }
  return Buffer.concat(encoded);
}
