import { AnalysisError } from "../errors.ts";
import { createByteReader, truncated } from "./byte-reader.ts";
import { checkFrame, decodeFrame, type StreamInfo } from "./flac-frame.ts";
import { mixDown, type Pcm } from "./mono.ts";

const LAST_BLOCK = 0x80;
const STREAM_INFO_BYTES = 34;
/** The longest frame that there can be: 65,535 samples of 8 channels in 32 bits, and its header. */
const MAX_FRAME_BYTES = 65_536 * 8 * 4 + 64;

/** Decodes FLAC (RFC 9639), behind a tag of ID3 if it has one. A wrong checksum is an error. */
export async function* decodeFlac(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Pcm> {
  const reader = createByteReader(bytes, "FLAC");
  const info = await readMetadata(reader);
  let samples = 0;
  while (!(await reader.isAtEnd())) {
    const ahead = await reader.peek(info.maxFrameBytes || MAX_FRAME_BYTES);
    const { channels, bitsPerSample, sampleRateHz, length } = decode(ahead, info);
    await reader.skip(length);
    const pcm = mixDown(channels, 2 ** (bitsPerSample - 1));
    samples += pcm.length;
    yield { pcm, sampleRateHz };
  }
  if (samples < info.samples) throw truncated("FLAC");
}

function decode(ahead: Uint8Array, info: StreamInfo) {
  try {
    const frame = decodeFrame(ahead, info);
    checkFrame(ahead.subarray(0, frame.length));
    return frame;
  } catch (error) {
    throw new AnalysisError("invalid", "the file's FLAC is damaged or cut short", String(error));
  }
}

async function readMetadata(reader: ReturnType<typeof createByteReader>): Promise<StreamInfo> {
  await reader.skip(4);
  let info: StreamInfo | undefined;
  for (;;) {
    const head = Buffer.from(await reader.read(4));
    const length = head.readUIntBE(1, 3);
    const type = (head[0] as number) & ~LAST_BLOCK;
    if (type === 0 && length >= STREAM_INFO_BYTES) {
      info = parseStreamInfo(Buffer.from(await reader.read(length)));
    } else await reader.skip(length);
    if ((head[0] as number) & LAST_BLOCK) break;
  }
  if (info) return info;
  throw new AnalysisError("invalid", "the file's FLAC does not say what it holds");
}

function parseStreamInfo(block: Buffer): StreamInfo {
  return {
    maxFrameBytes: block.readUIntBE(7, 3),
    sampleRateHz: block.readUIntBE(10, 3) >> 4,
    bitsPerSample: (((block[12] as number) & 1) << 4) + ((block[13] as number) >> 4) + 1,
    samples: ((block[13] as number) & 15) * 2 ** 32 + block.readUInt32BE(14),
  };
}
