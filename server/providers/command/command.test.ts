import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { bytesOf } from "../../core/audio/pcm.ts";
import { wavHeader } from "../../core/audio/wav.ts";
import { ProviderError } from "../../core/errors.ts";
import type { Voice } from "../../models/synthesizer.ts";
import { type CommandOptions, createCommandVoice } from "./command.ts";

const folder = mkdtempSync(join(tmpdir(), "command-voice-"));
afterAll(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;
const raw = { sampleRateHz: 16_000 };

/** A file in a folder of this test run. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function voiceOf(argv: readonly string[], options: Partial<CommandOptions> = {}) {
  return createCommandVoice({ argv, format: raw, timeoutMs: 20_000, ...options });
}

/** A voice that is a JavaScript program. */
const script = (code: string, options: Partial<CommandOptions> = {}, args: string[] = []) =>
  voiceOf([process.execPath, "-e", code, ...args], options);

/** A voice that is a shell script: it starts faster. */
const shell = (code: string, options: Partial<CommandOptions> = {}) =>
  voiceOf(["/bin/sh", "-c", code], options);

async function hear(voice: ReturnType<typeof voiceOf>, text = "Hi", how: Voice = {}) {
  const parts = await Array.fromAsync(voice.synthesize(text, how, never));
  expect(parts.every((part) => part.pcm.length > 0)).toBe(true);
  const pcm = parts.flatMap((part) => [...part.pcm]);
  return { pcm, text: Buffer.from(bytesOf(Int16Array.from(pcm))).toString(), parts };
}

async function kindOf(promise: Promise<unknown>): Promise<[string, string]> {
  const { kind, message } = await errorOf(promise);
  return [kind, message];
}

async function errorOf(promise: Promise<unknown>): Promise<ProviderError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProviderError)) throw error ?? new Error("it did not fail");
  return error;
}

/** How many children this process has not let go of; the last goes a turn after its end. */
const children = () =>
  process.getActiveResourcesInfo().filter((kind) => kind === "ProcessWrap").length;

/** True of a process that runs; a zombie that nobody waits for does not. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) [ZX] /.test(readFileSync(stat, "latin1"));
}

describe("createCommandVoice", () => {
  it("reads a WAV file from a program that reads the text", async () => {
    const pcm = Int16Array.from({ length: 30_000 }, (_, at) => at);
    const header = wavHeader({ sampleRateHz: 22_050, channels: 1 });
    const wav = file("long.wav", Buffer.concat([header, bytesOf(pcm)]));
    const code = `process.stdin.on("data", (text) => {
      if (String(text) === "Say – it") process.stdout.write(fs.readFileSync(process.argv[1]));
    })`;
    const heard = await hear(script(code, { format: "wav" }, [wav]), "Say – it");
    expect(heard.pcm).toEqual([...pcm]);
    expect(new Set(heard.parts.map((part) => part.sampleRateHz))).toEqual(new Set([22_050]));
  });

  it("reads raw PCM, even if a sample is split", async () => {
    const code = "printf '\\001'; printf '\\000\\002\\000'";
    const heard = await hear(shell(code));
    expect(heard.pcm).toEqual([1, 2]);
    expect(heard.parts[0]?.sampleRateHz).toBe(16_000);
  });

  it("passes every argument to the program unchanged, without a shell", async () => {
    const code = "process.stdout.write(JSON.stringify(process.argv.slice(1)) + ' ')";
    const voice = script(code, {}, ["--", "{text}", "$HOME;`id`", "{voice}"]);
    const heard = await hear(voice, 'a "b" $(c) *', { name: "Zoë" });
    expect(heard.text.trim()).toBe(JSON.stringify(['a "b" $(c) *', "$HOME;`id`", "Zoë"]));
  });

  it("gives the program the given environment", async () => {
    const heard = await hear(shell('printf "%s." "$SECRET$VOICE"', { env: { VOICE: "abc" } }));
    expect(heard.text).toBe("abc.");
  });

  it("accepts a program that does not read its input", async () => {
    expect((await hear(shell("printf abcd"), "x".repeat(1_000_000))).text).toBe("abcd");
  });

  it("reads no more from the program than its reader pulls", async () => {
    const marker = join(folder, "all-written");
    const code = `for (let at = 0; at < 64; at++) fs.writeSync(1, Buffer.alloc(32768, 1));
      fs.writeFileSync(process.argv[1], "")`;
    const parts = script(code, {}, [marker]).synthesize("Hi", {}, never)[Symbol.asyncIterator]();
    let samples = (await parts.next()).value?.pcm.length ?? 0;
    // Another program runs from start to end meanwhile: time enough for the first to write all.
    await hear(script("process.stdout.write('ab')"));
    expect(existsSync(marker)).toBe(false);
    for (let read = await parts.next(); !read.done; read = await parts.next()) {
      samples += read.value.pcm.length;
    }
    expect(samples).toBe((64 * 32_768) / 2);
    expect(existsSync(marker)).toBe(true);
  });

  it("reports a missing program", async () => {
    const [fault, message] = await kindOf(hear(voiceOf([join(folder, "none")])));
    expect(fault).toBe("connectivity");
    expect(message).toBe("command: the program cannot be started (ENOENT)");
  });

  it("reports a program that is not executable", async () => {
    const [fault, message] = await kindOf(hear(voiceOf([file("plain", "no program")])));
    expect([fault, message.includes("EACCES")]).toEqual(["connectivity", true]);
  });

  it("reports the exit code, and of stderr its length alone, however it writes the text", async () => {
    const spelled = `printf 'no voice for: %s; 4 7 1 1; pin4711; 711; four seven one one; NDcxMQ==' "$0" >&2; exit 3`;
    const voice = voiceOf(["/bin/sh", "-c", spelled, "{text}"]);
    const error = await errorOf(hear(voice, "my pin is 4711"));
    expect([error.kind, error.message]).toEqual([
      "server",
      "command: the program exited with code 3",
    ]);
    expect(error.detail).toMatch(
      /^\d+ bytes on stderr, not logged: they may hold what was to be said/,
    );
    expect(`${error.detail}`).not.toMatch(/pin|4711|711|four|NDcx|no voice/);
  });

  it("fails after the audio if the program fails then", async () => {
    const [fault, message] = await kindOf(hear(shell("printf abcd; kill -TERM $$")));
    expect([fault, message]).toEqual(["server", "command: the program was killed by SIGTERM"]);
  });

  it.each([
    ["nothing", "true", raw, /wrote no audio/],
    ["half a sample", "printf a", raw, /wrote no audio/],
    ["a header alone", `cat '${folder}/header.wav'`, "wav" as const, /wrote no audio/],
    ["a usage text", "echo 'usage: speak [options] text'", "wav" as const, /RIFF and WAVE/],
  ])("reports %s as a protocol error", async (_, code, format, wanted) => {
    file("header.wav", wavHeader({ sampleRateHz: 8_000, channels: 1 }));
    const [fault, message] = await kindOf(hear(shell(code, { format })));
    expect(fault).toBe("protocol");
    expect(message).toMatch(wanted);
  });

  it.each([
    ["before its audio", "exec sleep 60", raw],
    ["after a header", `cat '${folder}/silent.wav'; exec sleep 60`, "wav" as const],
    ["after a part", "printf abcd; exec sleep 60", raw],
    ["after its output was closed", "printf abcd; exec sleep 60 >&- 2>&-", raw],
  ])("gives up on a program that is silent %s", async (_, code, format) => {
    file("silent.wav", wavHeader({ sampleRateHz: 8_000, channels: 1 }));
    const [fault, message] = await kindOf(hear(shell(code, { format, timeoutMs: 100 })));
    expect([fault, message]).toEqual(["timeout", "command: no output for 100 ms"]);
    await expect.poll(children, { timeout: 5_000 }).toBe(0);
  });

  it("leaves no process after 50 cancels and early returns", async () => {
    const code = "printf '%08d' $$; while :; do printf 'abcdefgh'; done";
    const cancelled = new Error("cancelled");
    const run = async (_: unknown, index: number): Promise<number> => {
      const controller = new AbortController();
      const parts = shell(code).synthesize("Hi", {}, controller.signal);
      let pid = 0;
      try {
        for await (const part of parts) {
          pid ||= Number(Buffer.from(bytesOf(part.pcm.subarray(0, 4))).toString());
          if (index % 2 === 0) break;
          controller.abort(cancelled);
        }
        expect(index % 2).toBe(0);
      } catch (error) {
        expect(error).toBe(cancelled);
      }
      return pid;
    };
    const pids: number[] = [];
    for (let batch = 0; batch < 5; batch++) {
      pids.push(...(await Promise.all(Array.from({ length: 10 }, run))));
    }
    expect(new Set(pids).size).toBe(50);
    expect(pids.filter(runs)).toEqual([]);
    await expect.poll(children, { timeout: 5_000 }).toBe(0);
  }, 30_000);

  it("kills a program without output yet, and throws the signal's reason", async () => {
    const controller = new AbortController();
    const parts = shell("exec sleep 60").synthesize("Hi", {}, controller.signal);
    const next = parts[Symbol.asyncIterator]().next();
    controller.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    await expect.poll(children, { timeout: 5_000 }).toBe(0);
  });

  it("starts nothing after the signal has fired, or before it is pulled", async () => {
    const marker = join(folder, "started");
    const voice = shell(`touch '${marker}'; printf abcd`);
    voice.synthesize("Hi", {}, never);
    const late = voice.synthesize("Hi", {}, AbortSignal.abort(new Error("late")));
    await expect(Array.fromAsync(late)).rejects.toThrow("late");
    expect(existsSync(marker)).toBe(false);
    await expect.poll(children, { timeout: 5_000 }).toBe(0);
  });

  it("kills child processes even if its reader does not pull again", async () => {
    const controller = new AbortController();
    const code = "sleep 60 & printf '%08d' $!; wait";
    const parts = shell(code).synthesize("Hi", {}, controller.signal)[Symbol.asyncIterator]();
    const first = await parts.next();
    const pid = Number(Buffer.from(bytesOf(first.value?.pcm ?? new Int16Array())).toString());
    expect(runs(pid)).toBe(true);
    controller.abort(new Error("gone"));
    await expect.poll(() => runs(pid), { timeout: 5_000 }).toBe(false);
    await expect.poll(children, { timeout: 5_000 }).toBe(0);
    await expect(parts.next()).rejects.toThrow("gone");
  });

  it("rejects an empty `argv`", () => expect(() => voiceOf([])).toThrow("needs a program"));
});
