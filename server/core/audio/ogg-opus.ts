/** A packet of Opus and the samples of the voice that it adds. */
type Packet = { readonly data: Uint8Array; readonly samples: number };

/** Writes one voice in Opus as an Ogg file, page by page (RFC 3533, RFC 7845). */
export type OggOpusWriter = {
  /** The page of these packets, behind the headers if it is the first. At most 50 packets. */
  push(packets: readonly Packet[]): Uint8Array;
  /** The last page. Its position tells a decoder where the voice ends. */
  end(packets: readonly Packet[]): Uint8Array;
};

const BEGIN_OF_STREAM = 2;
const END_OF_STREAM = 4;
/** Where a page has its checksum, and where the table of its segments begins. */
const CRC_AT = 22;
const TABLE_AT = 27;

/**
 * Creates a writer for 48 kHz mono. `preSkip`: samples that a decoder drops at the beginning. `serial`: any
 * 32-bit number. A page's position is that of the samples that can be decoded up to its end.
 */
export function createOggOpusWriter(preSkip: number, serial: number): OggOpusWriter {
  let pages = 0;
  let samples = 0;
  const page = (packets: readonly Uint8Array[], flags: number, position: number): Buffer => {
    const table = packets.flatMap(({ length }) => lacing(length));
    const header = Buffer.alloc(TABLE_AT);
    header.write("OggS");
    header[5] = flags;
    header.writeBigUInt64LE(BigInt(position), 6);
    header.writeUInt32LE(serial >>> 0, 14);
    header.writeUInt32LE(pages, 18);
    header[TABLE_AT - 1] = table.length;
    pages += 1;
    const bytes = Buffer.concat([header, Buffer.from(table), ...packets]);
    bytes.writeUInt32LE(crcOf(bytes), CRC_AT);
    return bytes;
  };
  const write = (packets: readonly Packet[], flags: number): Uint8Array => {
    const headers =
      pages === 0 ? [page([opusHead(preSkip)], BEGIN_OF_STREAM, 0), page([opusTags()], 0, 0)] : [];
    for (const packet of packets) samples += packet.samples;
    const data = packets.map((packet) => packet.data);
    return Buffer.concat([...headers, page(data, flags, samples === 0 ? 0 : preSkip + samples)]);
  };
  return {
    push: (packets) => write(packets, 0),
    end: (packets) => write(packets, END_OF_STREAM),
  };
}

/** A packet's lengths in the table: 255 for each full segment, then what is left. */
function lacing(length: number): readonly number[] {
  return [...Array.from({ length: Math.floor(length / 255) }, () => 255), length % 255];
}

function opusHead(preSkip: number): Uint8Array {
  const head = Buffer.alloc(19);
  head.write("OpusHead");
  head[8] = 1; // version
  head[9] = 1; // channels
  head.writeUInt16LE(preSkip, 10);
  head.writeUInt32LE(48_000, 12);
  return head;
}

function opusTags(): Uint8Array {
  const vendor = Buffer.from("Parley");
  const tags = Buffer.alloc(8 + 4 + vendor.length + 4);
  tags.write("OpusTags");
  tags.writeUInt32LE(vendor.length, 8);
  vendor.copy(tags, 12);
  return tags;
}

/** Ogg's CRC: polynomial 0x04c11db7, from the highest bit, from 0. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let bit = 0; bit < 8; bit++)
    value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

/** The checksum of a page of Ogg, whose own checksum is 0. */
export function crcOf(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ (crcTable[(crc >>> 24) ^ byte] ?? 0)) >>> 0;
  return crc;
}
