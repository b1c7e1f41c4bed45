/** Length of an envelope's prefix: one byte of flags, then the message length, big-endian. */
export const PREFIX_BYTES = 5;

/** The flag of an envelope with a compressed message. */
export const COMPRESSED_FLAG = 1;

/** Puts a message into an envelope, as gRPC and Connect's streams send it. */
export function createEnvelope(flags: number, message: Uint8Array): Uint8Array {
  const envelope = new Uint8Array(PREFIX_BYTES + message.length);
  envelope[0] = flags;
  new DataView(envelope.buffer).setUint32(1, message.length);
  envelope.set(message, PREFIX_BYTES);
  return envelope;
}

/** The message length that a prefix announces; 0 for a prefix that is cut short. */
export function messageLength(prefix: Uint8Array): number {
  if (prefix.length < PREFIX_BYTES) return 0;
  return new DataView(prefix.buffer, prefix.byteOffset).getUint32(1);
}

/** Whether an envelope has its prefix and its whole message. */
export function isComplete(envelope: Uint8Array): boolean {
  return envelope.length >= PREFIX_BYTES + messageLength(envelope);
}

/** Splits bytes into their envelopes. The last one may be cut short. */
export function* splitEnvelopes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const prefix = bytes.subarray(at, at + PREFIX_BYTES);
    const end = at + PREFIX_BYTES + messageLength(prefix);
    yield bytes.subarray(at, end);
    at = end;
  }
}
