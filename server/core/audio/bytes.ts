const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The samples as bytes, each sample little-endian, as PCM stands on the wire and in files.
 * On little-endian machines (nearly all) the bytes share the samples' memory: nothing is copied.
 */
export function bytesOf(pcm: Int16Array): Uint8Array {
  if (littleEndian) return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const bytes = new Uint8Array(pcm.byteLength);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < pcm.length; index++) view.setInt16(index * 2, pcm[index] ?? 0, true);
  return bytes;
}

/**
 * The little-endian bytes as samples; a last odd byte is left out. The samples share the bytes'
 * memory where the machine is little-endian and the bytes begin at an even offset, else they are a
 * copy.
 */
export function samplesOf(bytes: Uint8Array): Int16Array {
  const length = bytes.byteLength >> 1;
  if (littleEndian && bytes.byteOffset % 2 === 0) {
    return new Int16Array(bytes.buffer, bytes.byteOffset, length);
  }
  const pcm = new Int16Array(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let index = 0; index < length; index++) pcm[index] = view.getInt16(index * 2, true);
  return pcm;
}

/**
 * Holds back what does not fill a unit of `unitBytes` bytes, so that bytes which arrive in any cuts
 * leave in whole units. Never holds more than `unitBytes - 1` bytes.
 */
export function createAligner(unitBytes: number): (bytes: Uint8Array) => Uint8Array {
  let held = new Uint8Array(0);
  return (bytes) => {
    const joined = held.length === 0 ? bytes : concat(held, bytes);
    const whole = joined.length - (joined.length % unitBytes);
    held = joined.slice(whole);
    return joined.subarray(0, whole);
  };
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
