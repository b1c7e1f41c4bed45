import { randomUUID } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import OpusScript from "opusscript";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AudioFormat, StreamingService } from "../gen/streaming/streaming_pb.ts";
import { createToneVoice } from "../server/providers/tone.ts";
import { correlation } from "./support/correlation.ts";
import { type Gateway, startGateway } from "./support/gateway.ts";
import { createScriptedLanguageModel } from "./support/scripted-language-model.ts";

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway({
    synthesizers: [createToneVoice()],
    languageModels: [createScriptedLanguageModel(() => ["One is said. ", "Two is said as well. "])],
  });
});
afterEach(async () => {
  await gateway.stop();
});

async function stream(audioFormat: AudioFormat) {
  const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
  const chunks = [];
  let text = "";
  let end = "";
  for await (const { content } of client.streamAudio({
    prompt: "p",
    hardwareId: "d",
    audioFormat,
  })) {
    if (content.case === "audioChunk") chunks.push(content.value);
    if (content.case === "textChunk") text += content.value;
    if (content.case === "endMessage") end = content.value;
  }
  return {
    text,
    end,
    chunks,
    words: chunks.flatMap(({ words }) => words.map((word) => `${word.word} ${word.startSample}`)),
    samples: chunks.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0),
  };
}

function decode(packets: readonly Uint8Array[], samples: number): Int16Array {
  const decoder = new OpusScript(48_000, 1);
  const sound = Buffer.concat(packets.map((packet) => decoder.decode(Buffer.from(packet))));
  decoder.delete();
  return new Int16Array(Uint8Array.from(sound).buffer).slice(312, 312 + samples);
}

const samplesOf = (pieces: readonly Uint8Array[]) =>
  new Int16Array(Uint8Array.from(Buffer.concat(pieces)).buffer);

/** The packets of an Ogg file, its pages' positions, and its last page's flags. */
function readOgg(file: Buffer) {
  const packets: Buffer[] = [];
  const positions: number[] = [];
  let flags = 0;
  for (let at = 0; at < file.length; ) {
    expect(file.toString("latin1", at, at + 4)).toBe("OggS");
    flags = file[at + 5] ?? 0;
    positions.push(Number(file.readBigUInt64LE(at + 6)));
    const table = file.subarray(at + 27, at + 27 + (file[at + 26] ?? 0));
    at += 27 + table.length;
    let length = 0;
    for (const segment of table) {
      length += segment;
      if (segment === 255) continue;
      packets.push(file.subarray(at, at + length));
      at += length;
      length = 0;
    }
  }
  return { packets, positions, flags };
}

describe("StreamAudio in Opus", () => {
  it("has the text, words and samples of the PCM", async () => {
    const plain = await stream(AudioFormat.PCM_S16LE);
    const opus = await stream(AudioFormat.OPUS);
    expect(opus).toMatchObject({ text: plain.text, end: "done", words: plain.words });
    expect(opus.samples).toBe(plain.samples);
    expect(plain.chunks[0]).toMatchObject({ dtype: "int16", format: AudioFormat.PCM_S16LE });
    for (const { dtype, format, sampleRate, channels } of opus.chunks) {
      expect({ dtype, format, sampleRate, channels }).toEqual({
        dtype: "opus",
        format: AudioFormat.OPUS,
        sampleRate: 48_000,
        channels: 1,
      });
    }
    const decoded = decode(
      opus.chunks.map(({ audioData }) => audioData),
      opus.samples,
    );
    const pcm = samplesOf(plain.chunks.map(({ audioData }) => audioData));
    expect(correlation(decoded, pcm)).toBeGreaterThan(0.9);
  });

  it("refuses a format that is not listed", async () => {
    await expect(stream(9 as AudioFormat)).rejects.toThrow("audio_format");
  });

  it("frees the encoder and the turn when its client leaves", async () => {
    const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
    const leave = new AbortController();
    const request = { prompt: "p", hardwareId: "d", audioFormat: AudioFormat.OPUS };
    const read = async () => {
      for await (const { content } of client.streamAudio(request, { signal: leave.signal })) {
        if (content.case === "audioChunk") leave.abort();
      }
    };
    await expect(read()).rejects.toThrow("abort");
    await gateway.untilIdle();
  });
});

describe("StreamAudio of a resumable turn in Opus", () => {
  it("sends the same packets again from any place on", async () => {
    const client = createClient(StreamingService, createGrpcTransport({ baseUrl: gateway.url }));
    const turnId = randomUUID();
    const turn = { prompt: "p", hardwareId: "d", turnId, resumable: true };
    const opus = { ...turn, audioFormat: AudioFormat.OPUS };
    const whole = await Array.fromAsync(client.streamAudio(opus));
    expect(whole.map(({ sequence }) => Number(sequence))).toEqual(whole.map((_, at) => at + 1));
    expect(whole.some(({ content }) => content.case === "audioChunk")).toBe(true);
    const half = Math.floor(whole.length / 2);
    const rest = await Array.fromAsync(client.streamAudio({ ...turn, resumeAfter: BigInt(half) }));
    expect(rest).toEqual(whole.slice(half));
    const sound = whole.flatMap(({ content }) =>
      content.case === "audioChunk" ? [content.value] : [],
    );
    expect(sound.every(({ format }) => format === AudioFormat.OPUS)).toBe(true);
    const samples = sound.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
    expect(samples).toBe((await stream(AudioFormat.PCM_S16LE)).samples);
  });
});

describe("/v1/speak in Opus", () => {
  it("is an Ogg file whose last position ends the voice", async () => {
    const ask = async (format: string) => {
      const query = new URLSearchParams({ prompt: "p", hardware_id: "d", format });
      const response = await fetch(`${gateway.httpUrl}/v1/speak?${query}`);
      return {
        type: response.headers.get("content-type"),
        bytes: Buffer.from(await response.arrayBuffer()),
      };
    };
    const pcm = await ask("pcm");
    const opus = await ask("opus");
    expect(opus.type).toBe("audio/ogg; codecs=opus");
    const { packets, positions, flags } = readOgg(opus.bytes);
    expect(packets[0]?.toString("latin1", 0, 8)).toBe("OpusHead");
    expect(packets[0]?.readUInt16LE(10)).toBe(312);
    expect(packets[1]?.toString("latin1", 0, 8)).toBe("OpusTags");
    expect(flags).toBe(4);
    const samples = pcm.bytes.length / 2;
    expect(positions.at(-1)).toBe(312 + samples);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(correlation(decode(packets.slice(2), samples), samplesOf([pcm.bytes]))).toBeGreaterThan(
      0.9,
    );
  });
});
