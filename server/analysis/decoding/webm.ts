import { AnalysisError } from "../errors.ts";
import { type ByteReader, createByteReader, truncated } from "./byte-reader.ts";
import type { Pcm } from "./mono.ts";
import { codecOf } from "./ogg.ts";
import { openPacketDecoder, type PacketDecoder } from "./packets.ts";

// Matroska (RFC 9559), as far as WebM has it: elements of an id, a length and a body.

const ids = {
  segment: 0x18538067,
  tracks: 0x1654ae6b,
  track: 0xae,
  trackNumber: 0xd7,
  codecId: 0x86,
  codecPrivate: 0x63a2,
  encodings: 0x6d80,
  cluster: 0x1f43b675,
  blockGroup: 0xa0,
  block: 0xa1,
  simpleBlock: 0xa3,
} as const;

/** Elements that hold others. */
const masters: ReadonlySet<number> = new Set([
  ids.segment,
  ids.tracks,
  ids.track,
  ids.cluster,
  ids.blockGroup,
]);
const read: ReadonlySet<number> = new Set(Object.values(ids));
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const LACING = 0x06;

/** What is known of the track that is being described. */
type Track = { number?: number; codec?: string; isEncoded?: boolean; setup?: Uint8Array };

/** Decodes WebM with Opus or Vorbis: the first track that has one of them. */
export async function* decodeWebm(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Pcm> {
  const reader = createByteReader(bytes, "WebM");
  const tracks: Track[] = [];
  let chosen: Opened | undefined;
  for await (const { id, body } of elementsOf(reader)) {
    if (id === ids.track) tracks.push({});
    const track = tracks.at(-1);
    if (track) describe(track, id, body);
    if (id === ids.cluster) chosen ??= await choose(tracks);
    const isBlock = id === ids.simpleBlock || id === ids.block;
    const packet = isBlock && chosen && packetOf(body, chosen.number);
    if (packet && chosen) yield chosen.decoder.decode(packet);
  }
  if (chosen === undefined) throw unsupported();
}

type Opened = { readonly number: number | undefined; readonly decoder: PacketDecoder };

async function choose(tracks: readonly Track[]): Promise<Opened> {
  const track = tracks.find(isDecodable);
  if (!track) throw unsupported();
  return { number: track.number, decoder: await open(track) };
}

function unsupported(): AnalysisError {
  return new AnalysisError("unsupported", "the file is Matroska without Opus or Vorbis");
}

/** The elements in order: masters without a body, before what they hold; the rest is passed over. */
async function* elementsOf(reader: ByteReader) {
  /** Where elements of a known length end, the last one at most. */
  let endsAt = 0;
  while (!(await reader.isAtEnd())) {
    const id = await readId(reader);
    const size = await readSize(reader);
    if (size !== undefined) endsAt = Math.max(endsAt, reader.position() + size);
    if (masters.has(id)) {
      yield { id, body: new Uint8Array(0) };
      continue;
    }
    if (size === undefined) throw damaged();
    if (!read.has(id)) {
      await reader.skip(size);
      continue;
    }
    if (size > MAX_BODY_BYTES) throw damaged();
    yield { id, body: await reader.read(size) };
  }
  if (reader.position() < endsAt) throw truncated("WebM");
}

function damaged(): AnalysisError {
  return new AnalysisError("invalid", "the file's WebM is damaged");
}

/** The id with the bits that say how long it is. */
async function readId(reader: ByteReader): Promise<number> {
  const [first = 0] = await reader.peek(1);
  const length = Math.clz32(first) - 23;
  if (length > 4) throw damaged();
  return Buffer.from(await reader.read(length)).readUIntBE(0, length);
}

/** Undefined: the length is open. */
async function readSize(reader: ByteReader): Promise<number | undefined> {
  const [first = 0] = await reader.peek(1);
  const length = Math.clz32(first) - 23;
  if (length > 8) throw damaged();
  const bytes = await reader.read(length);
  let size = first & (0xff >> length);
  let isOpen = size === 0xff >> length;
  for (const byte of bytes.subarray(1)) {
    size = size * 256 + byte;
    isOpen &&= byte === 0xff;
  }
  if (!isOpen && size > Number.MAX_SAFE_INTEGER / 2) throw damaged();
  return isOpen ? undefined : size;
}

function describe(track: Track, id: number, body: Uint8Array): void {
  if (id === ids.trackNumber) track.number = body.reduce((sum, byte) => sum * 256 + byte, 0);
  if (id === ids.codecId) track.codec = Buffer.from(body).toString("latin1").replace(/\0+$/, "");
  if (id === ids.encodings) track.isEncoded = true;
  if (id === ids.codecPrivate) track.setup = Uint8Array.from(body);
}

function isDecodable({ codec, isEncoded, setup }: Track): boolean {
  return !isEncoded && setup !== undefined && (codec === "A_OPUS" || codec === "A_VORBIS");
}

async function open({ codec, setup = new Uint8Array(0) }: Track): Promise<PacketDecoder> {
  const isOpus = codec === "A_OPUS";
  const decoder = await openPacketDecoder(isOpus ? "opus" : "vorbis");
  const headers = isOpus ? [setup, opusTags] : splitHeaders(setup);
  if (codecOf(headers[0] ?? setup) === undefined) throw damaged();
  for (const header of headers) decoder.header(header);
  return decoder;
}

/** Comments, which WebM does not have: no vendor, and none. */
const opusTags = Buffer.concat([Buffer.from("OpusTags"), Buffer.alloc(8)]);

/** The three headers of Vorbis in one: their number less one, the lengths of the first two, all three. */
function splitHeaders(setup: Uint8Array): readonly Uint8Array[] {
  if (setup[0] !== 2) throw damaged();
  let at = 1;
  const length = () => {
    let sum = 0;
    while (setup[at] === 255) sum += setup[at++] as number;
    return sum + (setup[at++] ?? 0);
  };
  const [first, second] = [length(), length()];
  const begin = at;
  if (begin + first + second >= setup.length) throw damaged();
  return [
    setup.subarray(begin, begin + first),
    setup.subarray(begin + first, begin + first + second),
    setup.subarray(begin + first + second),
  ];
}

/** The packet of a block, if it is one of this track. */
function packetOf(block: Uint8Array, number: number | undefined): Uint8Array | undefined {
  const length = Math.clz32(block[0] ?? 0) - 23;
  if (length > 2 || block.length < length + 3) throw damaged();
  const mark = 0x80 >> (length - 1);
  const own =
    length === 1
      ? (block[0] as number) ^ mark
      : (((block[0] as number) ^ mark) << 8) | (block[1] as number);
  if (own !== number) return undefined;
  const flags = block[length + 2] as number;
  if (flags & LACING) {
    throw new AnalysisError("unsupported", "the file is Matroska with several packets in a block");
  }
  return block.subarray(length + 3);
}
