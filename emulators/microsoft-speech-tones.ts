import { bytesOf } from "../server/core/audio/pcm.ts";

/** Duration of the tone of a word: whole MP3 frames at 24 and at 16 kHz. */
export const toneSeconds = 0.072;
/** Duration of a word: its tone and an equal silence. */
export const wordSeconds = 0.144;

const tones = 8;
const peak = 8_000;
const made = new Map<string, Uint8Array>();

/** The tone of a word in Hz: neighbours differ. */
function toneHz(word: number): number {
  return 400 + 100 * (word % tones);
}

/** A word as mono 16-bit PCM. */
export function pcmWord(word: number, sampleRateHz: number): Uint8Array {
  return memoize(`${sampleRateHz}/${word % tones}`, () => {
    const tone = toneSeconds * sampleRateHz;
    const angle = (2 * Math.PI * toneHz(word)) / sampleRateHz;
    return bytesOf(
      Int16Array.from({ length: Math.round(wordSeconds * sampleRateHz) }, (_, at) =>
        at < tone ? Math.round(peak * Math.sin(angle * at)) : 0,
      ),
    );
  });
}

/** A word as MP3 of 48 kbit/s: at 24 kHz 3 frames of tone and 3 of silence. */
export function mp3Word(word: number, sampleRateHz: 24_000 | 16_000): Uint8Array {
  return memoize(`mp3 ${sampleRateHz}/${word % tones}`, () => {
    const frames = Math.round((wordSeconds * sampleRateHz) / 576);
    const loud = Math.round((toneSeconds * sampleRateHz) / 576);
    return Buffer.concat(
      Array.from({ length: frames }, (_, at) =>
        mp3Frame(sampleRateHz, at < loud ? toneHz(word) : undefined),
      ),
    );
  });
}

/**
 * One independent frame of MPEG-2 Layer III, mono, 48 kbit/s: 576 samples with at most one spectral
 * line that is not zero.
 */
function mp3Frame(sampleRateHz: 24_000 | 16_000, hz: number | undefined): Uint8Array {
  const frame = Buffer.alloc((72 * 48_000) / sampleRateHz);
  frame.set([0xff, 0xf3, sampleRateHz === 24_000 ? 0x64 : 0x68, 0xc4]);
  const line = hz === undefined ? -1 : Math.round((hz * 2 * 576) / sampleRateHz);
  const pairs = line < 0 ? 0 : (line >> 1) + 1;
  // Huffman table 1: "1" is a pair of zeros; "01" and "001" are a one, first or second, and a sign.
  const spectrum = pairs === 0 ? "" : `${"1".repeat(pairs - 1)}${line % 2 === 0 ? "01" : "001"}0`;
  const gain = 200;
  const side = [
    // Where the data begins, and a private bit.
    field(0, 9),
    // Length of the data, pairs, gain, scale factors (none), no window switching.
    field(spectrum.length, 12) + field(pairs, 9) + field(gain, 8) + field(0, 9) + field(0, 1),
    // Table 1 in all three regions, their borders, and three flags.
    field(1, 5).repeat(3) + field(0, 4) + field(0, 3) + field(0, 2),
  ].join("");
  const bits = side + spectrum;
  for (const [at, bit] of [...bits].entries()) {
    if (bit === "1") frame[4 + (at >> 3)] = (frame[4 + (at >> 3)] ?? 0) | (0x80 >> (at & 7));
  }
  return frame;
}

function field(value: number, bits: number): string {
  return value.toString(2).padStart(bits, "0");
}

function memoize(key: string, make: () => Uint8Array): Uint8Array {
  const kept = made.get(key) ?? make();
  made.set(key, kept);
  return kept;
}
