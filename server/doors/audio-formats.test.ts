import { spawnSync } from "node:child_process";
import { afterAll, describe, expect, it } from "vitest";
import { hasProgram } from "../../test/support/program.ts";
import { samplesOf } from "../core/audio/pcm.ts";
import { createEncoders } from "../encoding/encoders.ts";
import {
  type AudioFormatName,
  audioFormats,
  findAudioFormats,
  openEncoder,
} from "./audio-formats.ts";

const encoders = createEncoders();
const use = { encoders, signal: new AbortController().signal };
afterAll(() => encoders.stop());

/** A second of 440 Hz at 48 kHz. */
const tone = Int16Array.from({ length: 48_000 }, (_, at) =>
  Math.round(8000 * Math.sin((2 * Math.PI * 440 * at) / 48_000)),
);

/** The tone in this format, pushed in parts of this length. */
async function encode(name: AudioFormatName, partSamples: number): Promise<Buffer> {
  const encoder = await openEncoder(audioFormats[name], use);
  if (!encoder) throw new Error(`${name} is not there`);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < tone.length; at += partSamples) {
    pieces.push(await encoder.push(tone.subarray(at, at + partSamples)));
  }
  pieces.push(await encoder.end());
  encoder.close?.();
  encoder.close?.();
  return Buffer.concat(pieces);
}

/** A file's samples at 24 kHz, as ffmpeg reads them. */
function decode(file: Buffer): Int16Array {
  const args = ["-v", "error", "-i", "-", "-f", "s16le", "-ar", "24000", "-ac", "1", "-"];
  const { stdout, stderr } = spawnSync("ffmpeg", args, { input: file, maxBuffer: 1 << 24 });
  expect(`${stderr}`).toBe("");
  return samplesOf(Uint8Array.from(stdout));
}

/** Swings from well below zero to well above it: the tone has 440 a second. */
function cyclesOf(pcm: Int16Array): number {
  let cycles = 0;
  let isBelow = false;
  for (const sample of pcm) {
    if (isBelow && sample > 2000) cycles += 1;
    if (Math.abs(sample) > 2000) isBelow = sample < 0;
  }
  return cycles;
}

const hasFfmpeg = hasProgram("ffmpeg", ["-version"], "apt-get install ffmpeg");

describe("audioFormats", () => {
  it("can all be encoded here", async () => {
    expect(await findAudioFormats(use)).toEqual(Object.keys(audioFormats));
  });

  it("holds samples of 24 kHz", async () => {
    expect((await encode("pcm", 4608)).length).toBe(48_000);
    expect((await encode("wav", 4608)).length).toBe(48_044);
  });

  it.skipIf(!hasFfmpeg).each<AudioFormatName>(["flac", "wav"])(
    "keeps every sample in %s",
    async (name) => {
      const plain = samplesOf(Uint8Array.from(await encode("pcm", 4608)));
      expect(decode(await encode(name, 4608))).toEqual(plain);
    },
  );

  it.skipIf(!hasFfmpeg)("keeps the tone and its length in mp3", async () => {
    const pcm = decode(await encode("mp3", 4608));
    // LAME adds silence at both ends.
    expect(pcm.length).toBeGreaterThanOrEqual(24_000);
    expect(pcm.length).toBeLessThan(24_000 + 3 * 1152);
    expect(cyclesOf(pcm)).toBeGreaterThan(435);
    expect(cyclesOf(pcm)).toBeLessThan(445);
  });

  it.skipIf(!hasFfmpeg)("keeps the tone and its length in opus, at 32 kbit/s", async () => {
    const file = await encode("opus", 4608);
    const pcm = decode(file);
    expect(Math.abs(pcm.length - 24_000)).toBeLessThanOrEqual(1);
    expect(cyclesOf(pcm)).toBeGreaterThan(435);
    expect(cyclesOf(pcm)).toBeLessThan(445);
    expect(file.length).toBeLessThan(8000);
  });

  it.each<AudioFormatName>(["flac", "mp3"])(
    "do not depend on how the sound is cut: %s",
    async (name) => {
      expect((await encode(name, 48_000)).equals(await encode(name, 512))).toBe(true);
    },
  );

  it("take nothing after they are closed", async () => {
    const encoder = await openEncoder(audioFormats.flac, use);
    encoder?.close?.();
    await expect(encoder?.push(tone)).rejects.toThrow("closed");
  });
});
