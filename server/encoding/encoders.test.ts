import OpusScript from "opusscript";
import { afterAll, describe, expect, it } from "vitest";
import { correlation } from "../../test/support/correlation.ts";
import { createEncoders, type OpusPacket, PRE_SKIP_SAMPLES } from "./encoders.ts";

const encoders = createEncoders();
const here = new AbortController().signal;
afterAll(() => encoders.stop());

function tone(samples: number, hertz: number): Int16Array {
  return Int16Array.from({ length: samples }, (_, at) =>
    Math.round(9000 * Math.sin((2 * Math.PI * hertz * at) / 48_000)),
  );
}

function decode(packets: readonly OpusPacket[]): Int16Array {
  const decoder = new OpusScript(48_000, 1);
  const sound = Buffer.concat(packets.map(({ data }) => decoder.decode(Buffer.from(data))));
  decoder.delete();
  const all = new Int16Array(Uint8Array.from(sound).buffer);
  const samples = packets.reduce((sum, packet) => sum + packet.samples, 0);
  return all.subarray(PRE_SKIP_SAMPLES, PRE_SKIP_SAMPLES + samples);
}

async function encode(pcm: Int16Array, pieceSamples: number): Promise<readonly OpusPacket[]> {
  const encoder = encoders.openOpus(here);
  const packets: OpusPacket[] = [];
  for (let at = 0; at < pcm.length; at += pieceSamples) {
    packets.push(...(await encoder.push(pcm.subarray(at, at + pieceSamples))));
  }
  packets.push(...(await encoder.end()));
  encoder.close();
  return packets;
}

describe("createEncoders", () => {
  it.each([1, 647, 648, 649, 960, 4608, 48_000])(
    "keeps the length and the place of %i samples",
    async (samples) => {
      const pcm = tone(samples, 440);
      const packets = await encode(pcm, 1000);
      expect(packets.every((packet) => packet.samples > 0)).toBe(true);
      const decoded = decode(packets);
      expect(decoded.length).toBe(samples);
      if (samples >= 4608) expect(correlation(decoded, pcm)).toBeGreaterThan(0.98);
    },
  );

  it("encodes 100 voices at once, each as if it were alone", async () => {
    const voices = Array.from({ length: 100 }, (_, index) => tone(4800, 200 + 10 * index));
    const encoded = await Promise.all(voices.map((pcm) => encode(pcm, 960)));
    for (const [at, packets] of encoded.entries()) {
      expect(correlation(decode(packets), voices[at] ?? new Int16Array(0))).toBeGreaterThan(0.9);
    }
  });

  it("takes less than a tenth of the bytes", async () => {
    const packets = await encode(tone(48_000, 440), 4608);
    const bytes = packets.reduce((sum, { data }) => sum + data.length, 0);
    expect(bytes).toBeLessThan(9600);
  });

  it("stops with the signal's reason, in the middle of a part", async () => {
    const client = new AbortController();
    const encoder = encoders.openOpus(client.signal);
    const pushed = encoder.push(tone(4_800_000, 440));
    client.abort(new Error("left"));
    await expect(pushed).rejects.toThrow("left");
    await expect(encoder.push(tone(960, 440))).rejects.toThrow("left");
  });

  it("refuses more voices than its threads hold, and takes them again later", async () => {
    const client = new AbortController();
    const openAll = () => {
      for (let count = 0; count <= 256; count++) encoders.openOpus(client.signal);
    };
    expect(openAll).toThrow("too many replies are encoded at once");
    client.abort(new Error("left"));
    expect((await encode(tone(960, 440), 960)).length).toBe(2);
  });
});

describe("openFile", () => {
  const second = tone(24_000, 440);
  const codecs = ["flac", "mp3"] as const;

  async function encodeFile(codec: (typeof codecs)[number]): Promise<Buffer> {
    const encoder = encoders.openFile(codec, here);
    const bytes = [await encoder.push(second.subarray(0, 10_000))];
    bytes.push(await encoder.push(second.subarray(10_000)), await encoder.end());
    encoder.close();
    return Buffer.concat(bytes);
  }

  it.each(codecs)("leaves the event loop alone: %s", async (codec) => {
    const encoder = encoders.openFile(codec, here);
    // The first sound loads the codec.
    await encoder.push(second);
    const before = process.threadCpuUsage();
    for (let count = 0; count < 20; count++) await encoder.push(second);
    const { user, system } = process.threadCpuUsage(before);
    // Here they would take about 10 and 13 ms for each second of sound; handing it over takes 1.5.
    expect((user + system) / 1000 / 20).toBeLessThan(5);
    encoder.close();
  });

  it.each([
    ["flac", 100],
    ["mp3", 20],
  ] as const)(
    "encodes %s for %i voices at once, each as if it were alone",
    async (codec, count) => {
      const alone = await encodeFile(codec);
      const all = await Promise.all(Array.from({ length: count }, () => encodeFile(codec)));
      expect(all.every((file) => file.equals(alone))).toBe(true);
    },
  );

  it("stops with the signal's reason, in the middle of a part", async () => {
    const client = new AbortController();
    const encoder = encoders.openFile("flac", client.signal);
    const pushed = encoder.push(tone(2_400_000, 440));
    client.abort(new Error("left"));
    await expect(pushed).rejects.toThrow("left");
    await expect(encoder.end()).rejects.toThrow("left");
  });
});
