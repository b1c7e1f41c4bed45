import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Child, startChild } from "../../server/analysis/child.ts";
import { createDecoder } from "../../server/analysis/decoder.ts";
import { AnalysisError } from "../../server/analysis/errors.ts";
import { createRandom } from "../fuzz/random.ts";
import { createFolder } from "../storage/databases.ts";
import { itUnless } from "../support/it-unless.ts";
import { startAnalyzing, wavOf } from "./analyzing.ts";
import { type FormatName, formats, hasFfmpeg, makeSound } from "./sound-files.ts";

const SECONDS = 4.5;
const FFMPEG = [
  "-v",
  "error",
  "-protocol_whitelist",
  "file,pipe",
  "-i",
  "{input}",
  "-vn",
  "-f",
  "wav",
  "-",
];
const { signal } = new AbortController();
const folder = createFolder();
const files = new Map<FormatName, Buffer>();
const names = Object.keys(formats) as FormatName[];
const canMake = hasFfmpeg();
const itMade = itUnless(!canMake);

/** Decodes one file after another, without a process for each. */
let many: Child;
beforeAll(() => {
  if (!canMake) return;
  for (const name of names)
    files.set(name, makeSound(folder.path, name, SECONDS, formats[name].args));
  many = startMany();
});
afterAll(async () => {
  await many?.close();
  folder[Symbol.dispose]();
});

const startMany = () =>
  startChild({ program: new URL("./decode-many.ts", import.meta.url), maxMemoryMb: 400 });
const beyond = { kind: "invalid", what: "not decoded" } as const;

/** Samples at 16 kHz, or the kind of the error. */
async function decode(file: Uint8Array, maxSeconds = 900): Promise<number | string> {
  try {
    return await many.call<number>({ file, maxSeconds }, { timeoutMs: 10_000, signal, beyond });
  } catch (error) {
    if (!(error instanceof AnalysisError)) throw error;
    if (!many.isAlive()) many = startMany();
    return `${error.kind}: ${error.message}${error.kind === "worker" ? error.detail : ""}`;
  }
}

const fileOf = (name: FormatName) => files.get(name) ?? Buffer.alloc(0);

describe("the decoders", () => {
  itMade.each(names)("decode %s by its content, to its length and level", async (name) => {
    const decoder = createDecoder({ maxSeconds: 900 });
    const { format, samples } = await decoder.measure(fileOf(name), signal);
    expect(format).toBe(formats[name].format);
    // MP3 and WebM are longer by what their encoders add.
    expect(samples / 16_000).toBeCloseTo(SECONDS, 0);
    expect(Math.abs(samples / 16_000 - SECONDS)).toBeLessThan(0.09);
    let peak = 0;
    for await (const window of decoder.windows(fileOf(name), signal)) {
      for (const sample of window) peak = Math.max(peak, Math.abs(sample));
    }
    // The tone has an eighth of full scale; 5.1 channels share it by ffmpeg's own rule.
    expect(peak).toBeGreaterThan(500);
    expect(peak).toBeLessThan(5000);
  });

  itMade("find what a file is behind a tag, and under any name", async () => {
    const tag = Buffer.concat([Buffer.from("ID3\x04\0\0\0\0\0\x0a", "latin1"), Buffer.alloc(10)]);
    expect(await decode(Buffer.concat([tag, fileOf("a.mp3")]))).toBeGreaterThan(70_000);
    expect(
      await decode(Buffer.concat([fileOf("a.mp3"), Buffer.from("TAG"), Buffer.alloc(125)])),
    ).toBeGreaterThan(70_000);
  });

  itMade.each(names)("refuse %s when it is cut short, wherever that is", async (name) => {
    for (const share of [0.35, 0.8, 0.99]) {
      const cut = fileOf(name).subarray(0, Math.floor(fileOf(name).length * share));
      expect(await decode(cut), `${share}`).toMatch(/^invalid: .*(cut short|damaged|decoded)/);
    }
  });

  itMade("stop at the limit of a small file that holds much sound", async () => {
    const path = join(folder.path, "bomb.flac");
    const silence = "anullsrc=r=44100:cl=mono:d=2400";
    execFileSync("ffmpeg", ["-v", "error", "-y", "-f", "lavfi", "-i", silence, path]);
    const bomb = readFileSync(path);
    expect(bomb.length).toBeLessThan(1024 * 1024);
    expect(await decode(bomb, 60)).toBe("too_large: the file has more than 60 s of sound");
  });

  itMade(
    "end 150 damaged files with sound or a reason, and stay alive",
    { timeout: 120_000 },
    async () => {
      const random = createRandom(14);
      const outcomes = new Map<string, number>();
      const faults: string[] = [];
      for (let count = 0; count < 150; count++) {
        const name = names[count % names.length] as FormatName;
        const outcome = await decode(mutate(fileOf(name), random));
        const kind = typeof outcome === "number" ? "sound" : (outcome.split(":")[0] ?? "");
        if (kind === "worker") faults.push(`${count} ${name} ${outcome}`);
        outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      }
      expect([...outcomes.keys()].sort()).toEqual(expect.arrayContaining(["invalid", "sound"]));
      expect(faults).toEqual([]);
      expect(await decode(fileOf("a.flac"))).toBe(SECONDS * 16_000);
    },
  );

  itMade("decode M4A by DECODE_COMMAND, which leaves no copy behind", async () => {
    const file = makeSound(folder.path, "a.m4a", SECONDS, ["-c:a", "aac"]);
    const env = {
      DECODE_COMMAND: JSON.stringify(["ffmpeg", ...FFMPEG]),
      PATH: process.env["PATH"] ?? "",
    };
    await using analyzing = await startAnalyzing({ env });
    const task = await analyzing.analyze(file, "a.m4a");
    expect(task).toMatchObject({ status: "COMPLETED", format: "MP4 (M4A)" });
    const broken = await analyzing.upload(file.subarray(0, file.length / 2), "a.m4a");
    expect([broken.status, broken.body.error?.message]).toEqual([
      400,
      "the file cannot be decoded by DECODE_COMMAND",
    ]);
  });

  itMade("kill what takes too long or too much memory, and nothing else", async () => {
    const command = (script: string) => ({
      argv: ["sh", "-c", script, "{input}"],
      env: { PATH: "/usr/bin:/bin" },
    });
    const m4a = Buffer.from("\0\0\0\x20ftypM4A \0\0\0\0");
    const slow = createDecoder({
      maxSeconds: 900,
      fileTimeoutMs: 3000,
      command: command("sleep 100"),
    });
    await expect(slow.measure(m4a, signal)).rejects.toMatchObject({
      kind: "invalid",
      message: "the file cannot be decoded: it took too long",
    });
    const large = createDecoder({
      maxSeconds: 900,
      maxMemoryMb: 200,
      command: command("head -c 700m /dev/zero | tail"),
    });
    await expect(large.measure(m4a, signal)).rejects.toMatchObject({
      kind: "invalid",
      message: "the file cannot be decoded: it needed too much memory",
    });
  });

  it("decode ten minutes in memory that does not grow with the length", {
    timeout: 120_000,
  }, async () => {
    const decoder = createDecoder({ maxSeconds: 900, maxMemoryMb: 200 });
    const long = wavOf({ seconds: 900, sampleRateHz: 8000 });
    expect(await decoder.measure(long, signal)).toEqual({ format: "wav", samples: 900 * 16_000 });
  });
});

/** Changes, cuts out, doubles or overwrites some of a file. */
function mutate(file: Buffer, random: ReturnType<typeof createRandom>): Buffer {
  const bytes = Buffer.from(file);
  const at = random.below(bytes.length);
  const length = 1 + random.below(64);
  switch (random.below(5)) {
    case 0:
      for (let flip = 0; flip < 8; flip++) {
        const place = random.below(bytes.length);
        bytes[place] = (bytes[place] ?? 0) ^ (1 << random.below(8));
      }
      return bytes;
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 3:
      // What formats keep near their beginning: sizes, rates, numbers of channels.
      bytes[4 + random.below(60)] = random.below(256);
      return bytes;
    default:
      return Buffer.from(bytes.fill(255, at, at + length));
  }
}
