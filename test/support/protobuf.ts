/**
 * Writes one field of a protobuf message: a whole number below 2^31, or text, bytes or a message
 * made of fields.
 */
export function field(
  number: number,
  value: number | string | Uint8Array | readonly Uint8Array[],
): Buffer {
  if (typeof value === "number") return Buffer.from([...varint(number * 8), ...varint(value)]);
  const bytes = Array.isArray(value) ? Buffer.concat(value) : Buffer.from(value as Uint8Array);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
}

function varint(value: number): readonly number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
