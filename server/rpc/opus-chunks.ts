import type { TurnChunk } from "../conversation/reply.ts";
import { joinPcm } from "../core/audio/pcm.ts";
import type { Encoders, OpusPacket } from "../encoding/encoders.ts";
import type { AudioChunk } from "../failover/framer.ts";

/** A chunk of audio in Opus. `pcm` is the samples that its packet adds. */
type OpusChunk = AudioChunk & { readonly packet: Uint8Array<ArrayBuffer> };

/** Whether a chunk is in Opus. */
export function isOpus(chunk: TurnChunk): chunk is OpusChunk {
  return "packet" in chunk;
}

/**
 * Encodes a turn's sound, one packet a chunk. Words and sources come with the first packet behind them.
 * Reads no further than its reader, and stops at once when the signal fires.
 */
export async function* encodeTurn(
  batches: AsyncIterable<readonly TurnChunk[]>,
  encoders: Encoders,
  signal: AbortSignal,
): AsyncGenerator<readonly TurnChunk[]> {
  const encoder = encoders.openOpus(signal);
  const packer = createPacker();
  try {
    for await (const batch of batches) {
      // One by one: a turn that is interrupted meanwhile sends no more.
      for (const chunk of batch) {
        if (chunk.type === "text") yield [chunk];
        else yield packer.pack(await encoder.push(chunk.pcm), chunk);
      }
    }
    yield packer.pack(await encoder.end());
  } finally {
    encoder.close();
  }
}

/** Joins packets with what belongs to them of the chunks that they were made of. */
function createPacker() {
  let pcm = new Int16Array(0);
  let held: AudioChunk | undefined;
  const toChunk = ({ data, samples }: OpusPacket): readonly OpusChunk[] => {
    if (held === undefined) return [];
    const chunk = { ...held, pcm: pcm.subarray(0, samples), packet: data };
    pcm = pcm.subarray(samples);
    const { type, synthesizer } = held;
    held = { type, synthesizer, pcm };
    return [chunk];
  };
  return {
    /** `chunk` is what was encoded last, if anything was. */
    pack(packets: readonly OpusPacket[], chunk?: AudioChunk): readonly OpusChunk[] {
      if (chunk) {
        pcm = Int16Array.from(joinPcm([pcm, chunk.pcm]));
        const words = [...(held?.words ?? []), ...(chunk.words ?? [])];
        held = { ...held, ...chunk, ...(words.length > 0 && { words }) };
      }
      return packets.flatMap(toChunk);
    },
  };
}
