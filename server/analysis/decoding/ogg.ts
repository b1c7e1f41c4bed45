import { crcOf } from "../../core/audio/ogg-opus.ts";
import { AnalysisError } from "../errors.ts";
import { type ByteReader, createByteReader, truncated } from "./byte-reader.ts";
import type { Pcm } from "./mono.ts";
import {
  headerPackets,
  openPacketDecoder,
  type PacketCodec,
  type PacketDecoder,
} from "./packets.ts";

const HEADER_BYTES = 27;
const CONTINUED = 1;
const FIRST_PAGE = 2;
const LAST_PAGE = 4;
/** Headers of Vorbis hold tables, and comments pictures; a packet of sound has some hundred bytes. */
const MAX_PACKET_BYTES = 4 * 1024 * 1024;

type Page = {
  readonly flags: number;
  readonly serial: number;
  /** Whole packets and, last, the beginning of one that goes on in the next page. */
  readonly pieces: readonly Uint8Array[];
  readonly endsWithin: boolean;
  /** Samples that can be decoded up to the page's end; -1 if no packet ends in it. */
  readonly position: bigint;
};

/** Decodes Ogg with Vorbis or Opus. Of several streams, the first that holds sound. */
export async function* decodeOgg(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Pcm> {
  const reader = createByteReader(bytes, "Ogg");
  let stream: Stream | undefined;
  while (!(await reader.isAtEnd())) {
    const page = await readPage(reader);
    if (page.flags & FIRST_PAGE && (stream === undefined || stream.hasEnded())) {
      const codec = codecOf(page.pieces[0] ?? new Uint8Array(0));
      if (codec) stream = createStream(page.serial, codec, await openPacketDecoder(codec));
    }
    if (stream && page.serial === stream.serial) yield* stream.push(page);
  }
  if (stream === undefined) {
    throw new AnalysisError("unsupported", "the file is Ogg without Vorbis or Opus");
  }
  if (!stream.hasEnded()) throw truncated("Ogg");
}

const OPUS_HEAD_BYTES = 19;

/** The codec of a stream, by its first packet. */
export function codecOf(packet: Uint8Array): PacketCodec | undefined {
  const head = Buffer.from(packet.subarray(0, 8)).toString("latin1");
  if (head === "OpusHead" && packet.length >= OPUS_HEAD_BYTES) return "opus";
  return head.slice(0, 7) === "\u0001vorbis" ? "vorbis" : undefined;
}

type Stream = {
  readonly serial: number;
  hasEnded(): boolean;
  push(page: Page): Generator<Pcm>;
};

function createStream(serial: number, codec: PacketCodec, decoder: PacketDecoder): Stream {
  let packets = 0;
  const partial: Uint8Array[] = [];
  let hasEnded = false;
  let samples = 0;
  /** Samples at the beginning that the decoder drops, and that positions count. */
  let preSkip = 0;
  const take = (packet: Uint8Array): Pcm | undefined => {
    packets += 1;
    if (packets === 1 && codec === "opus") preSkip = Buffer.from(packet).readUInt16LE(10);
    if (packets > headerPackets[codec]) return decoder.decode(packet);
    decoder.header(packet);
    return undefined;
  };
  /** The packets that end in a page. */
  const wholeOf = function* ({ flags, pieces, endsWithin }: Page) {
    const isContinued = (flags & CONTINUED) !== 0;
    if (isContinued !== partial.length > 0) {
      throw new AnalysisError("invalid", "the file's Ogg is damaged: a page is missing");
    }
    for (const [index, piece] of pieces.entries()) {
      partial.push(piece);
      if (endsWithin && index === pieces.length - 1) continue;
      yield Buffer.concat(partial.splice(0));
    }
    if (partial.reduce((sum, { length }) => sum + length, 0) > MAX_PACKET_BYTES) {
      throw new AnalysisError("invalid", "the file's Ogg has a packet without end");
    }
  };
  return {
    serial,
    hasEnded: () => hasEnded,
    *push(page) {
      if (page.flags & LAST_PAGE) hasEnded = true;
      for (const packet of wholeOf(page)) {
        const sound = take(packet);
        if (!sound) continue;
        samples += sound.pcm.length;
        yield hasEnded ? cutTo(sound, samples - (Number(page.position) - preSkip)) : sound;
      }
    },
  };
}

/** The last page says where the sound ends, if that is within its last packets. */
function cutTo(sound: Pcm, excess: number): Pcm {
  const { pcm } = sound;
  const isWithin = excess > 0 && excess <= pcm.length;
  return isWithin ? { ...sound, pcm: pcm.subarray(0, pcm.length - excess) } : sound;
}

async function readPage(reader: ByteReader): Promise<Page> {
  const header = Buffer.from(await reader.read(HEADER_BYTES));
  if (header.toString("latin1", 0, 4) !== "OggS") {
    throw new AnalysisError("invalid", "the file's Ogg is damaged: no page where one must begin");
  }
  const table = await reader.read(header[HEADER_BYTES - 1] as number);
  const body = await reader.read(table.reduce((sum, length) => sum + length, 0));
  checkPage(Buffer.concat([header, table, body]));
  return {
    flags: header[5] as number,
    serial: header.readUInt32LE(14),
    position: header.readBigInt64LE(6),
    pieces: piecesOf(table, body),
    endsWithin: table.at(-1) === 255,
  };
}

function checkPage(page: Buffer): void {
  const stated = page.readUInt32LE(22);
  page.writeUInt32LE(0, 22);
  if (crcOf(page) === stated) return;
  throw new AnalysisError("invalid", "the file's Ogg is damaged: a page has another checksum");
}

/** Cuts a page's body by the table of its segments: one below 255 ends a packet. */
function piecesOf(table: Uint8Array, body: Uint8Array): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let from = 0;
  let to = 0;
  for (const length of table) {
    to += length;
    if (length === 255) continue;
    pieces.push(body.subarray(from, to));
    from = to;
  }
  if (to > from || table.at(-1) === 255) pieces.push(body.subarray(from, to));
  return pieces;
}
