import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { protocols } from "../../examples/say/command-line.ts";
import { samplesOf } from "../../server/core/audio/pcm.ts";
import { createWavReader } from "../../server/core/audio/wav.ts";
import { connectClients } from "../support/client-connect.ts";
import { startGateway } from "../support/gateway.ts";
import { FLOOD, PAUSED, WHOLE } from "../support/replies.ts";
import { readSpelling } from "../support/spelling-voice.ts";

const SAY = fileURLToPath(new URL("../../examples/say.ts", import.meta.url));
/** The prompt of a turn whose reply has more audio than a pipe holds. */
const LONG = "It is more than a pipe holds. ".repeat(20).trim();
const WAIT = { timeout: 10_000, interval: 20 };

describe("npm run say", () => {
  let folder = "";
  let out = "";

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "say-test-"));
    out = join(folder, "reply.wav");
  });
  afterEach(() => {
    for (const child of running) child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });

  it.each(protocols)("shows the reply and writes its voice to a WAV file, in %s", async (name) => {
    await using gateway = await startGateway();
    const args = ["--to", gateway.url, "--protocol", name, "--out", out, WHOLE.prompt];
    const { code, stdout, stderr } = await say(args).ended;
    expect({ code, stdout: `${stdout}` }).toEqual({ code: 0, stdout: `${WHOLE.reply}\n` });
    expect(readWavFile(out)).toBe(WHOLE.reply);
    expect(stderr).toMatch(/^first text after \d+ ms, first audio after \d+ ms, [\d.]+ s of audio/);
  });

  it("keeps its figures to itself with --quiet", async () => {
    await using gateway = await startGateway();
    const args = ["--to", gateway.url, "--quiet", "--out", out, WHOLE.prompt];
    const { stdout, stderr } = await say(args).ended;
    expect([`${stdout}`, stderr]).toEqual([`${WHOLE.reply}\n`, ""]);
  });

  it("streams WAV to standard output and shows the text on standard error with --out -", async () => {
    await using gateway = await startGateway();
    const args = ["--to", gateway.url, "--quiet", "--out", "-", WHOLE.prompt];
    const { stdout, stderr } = await say(args).ended;
    expect(readSpelling([createWavReader().push(stdout)])).toBe(WHOLE.reply);
    expect(stderr).toBe(`${WHOLE.reply}\n`);
  });

  it("streams WAV to a reader that is slower than the gateway", async () => {
    await using gateway = await startGateway();
    const child = startSay(["--to", gateway.url, "--quiet", "--out", "-", LONG]);
    await vi.waitFor(() => expect(gateway.status().turns).toEqual({ done: 1 }), WAIT);
    const { code, stdout, stderr } = await result(child);
    expect({ code, stderr }).toEqual({ code: 0, stderr: `${LONG}\n` });
    expect(readSpelling([createWavReader().push(stdout)])).toBe(LONG);
  });

  it("ends on Ctrl+C while its WAV waits for a reader", async () => {
    await using gateway = await startGateway();
    const child = startSay(["--to", gateway.url, "--quiet", "--out", "-", LONG]);
    await vi.waitFor(() => expect(gateway.status().turns).toEqual({ done: 1 }), WAIT);
    const ended = once(child, "exit");
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
  });

  it("reads the prompt from standard input when there is none", async () => {
    await using gateway = await startGateway();
    const run = say(["--to", gateway.url, "--out", out]);
    run.child.stdin?.end("Said through a pipe.\n");
    expect(`${(await run.ended).stdout}`).toBe("Said through a pipe.\n");
    expect(readWavFile(out)).toBe("Said through a pipe.");
  });

  it("has a greeting spoken as it stands, without asking a model", async () => {
    await using gateway = await startGateway();
    const args = ["--to", gateway.url, "--greeting", "--out", out, WHOLE.prompt];
    expect(`${(await say(args).ended).stdout}`).toBe(`${WHOLE.prompt}\n`);
    expect(readWavFile(out)).toBe(WHOLE.prompt);
  });

  it("plays raw samples through the first player that it finds", async () => {
    await using gateway = await startGateway();
    const heard = join(folder, "heard.pcm");
    writePlayer("play", `exec cat > "${heard}"`);
    const { code } = await say(["--to", gateway.url, WHOLE.prompt], { players: folder }).ended;
    expect(code).toBe(0);
    expect(readSpelling([samplesOf(readFileSync(heard))])).toBe(WHOLE.reply);
  });

  it("gives a WAV file to a player that takes nothing else", async () => {
    await using gateway = await startGateway();
    writePlayer("afplay", `/bin/cp "$1" "${out}"`);
    const { code } = await say(["--to", gateway.url, WHOLE.prompt], { players: folder, only: true })
      .ended;
    expect(code).toBe(0);
    expect(readWavFile(out)).toBe(WHOLE.reply);
  });

  it("says so and shows the text alone when nothing can play", async () => {
    await using gateway = await startGateway();
    const run = say(["--to", gateway.url, WHOLE.prompt], { players: folder, only: true });
    const { code, stdout, stderr } = await run.ended;
    expect(code).toBe(0);
    expect(`${stdout}`.replaceAll("\n", "")).toBe(WHOLE.reply);
    expect(stderr).toContain("Nothing here plays audio");
  });

  it("says so when the player fails", async () => {
    await using gateway = await startGateway();
    writePlayer("play", "exit 7");
    const run = say(["--to", gateway.url, WHOLE.prompt], { players: folder });
    expect((await run.ended).stderr).toContain("play could not play it (exit 7)");
  });

  it.each(protocols)("cancels the turn on Ctrl+C and keeps what came, in %s", async (name) => {
    await using gateway = await startGateway();
    const args = ["--to", gateway.url, "--protocol", name, "--out", out, PAUSED.prompt];
    const run = say(args);
    await vi.waitFor(() => expect(readVoice(out)).toBe(PAUSED.sentences.join("")), WAIT);
    run.child.kill("SIGINT");
    const { code, stderr } = await run.ended;
    expect({ code, stderr }).toEqual({ code: 130, stderr: "cancelled\n" });
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ interrupted: 1 });
    expect(readWavFile(out)).toBe(PAUSED.sentences.join(""));
  });

  it("stops the player on Ctrl+C", async () => {
    await using gateway = await startGateway();
    const log = join(folder, "log");
    const trap = `trap 'echo stopped > "${log}"; kill $!; exit 1' TERM`;
    writePlayer("play", `${trap}\nsleep 60 &\necho playing > "${log}"\nwait`);
    const run = say(["--to", gateway.url, WHOLE.prompt], { players: folder });
    await vi.waitFor(() => expect(existsSync(log)).toBe(true), WAIT);
    await gateway.untilIdle();
    run.child.kill("SIGINT");
    const { code, stderr } = await run.ended;
    expect({ code, last: stderr.trimEnd().split("\n").at(-1) }).toEqual({
      code: 130,
      last: "cancelled",
    });
    await vi.waitFor(() => expect(readFileSync(log, "utf8")).toBe("stopped\n"), WAIT);
  });

  it.each(protocols)("says so when no gateway answers, in %s", async (name) => {
    const args = ["--to", "http://127.0.0.1:1", "--protocol", name, "--out", out, "Hello"];
    const { code, stderr } = await say(args).ended;
    expect(stderr).toBe("No gateway answers at http://127.0.0.1:1. Start one with npm start.\n");
    expect([code, existsSync(out)]).toEqual([1, false]);
  });

  it("cancels the turn when the file cannot be written", async () => {
    await using gateway = await startGateway();
    const missing = join(folder, "missing", "reply.wav");
    const { code, stderr } = await say(["--to", gateway.url, "--out", missing, FLOOD.prompt]).ended;
    expect(stderr).toContain(missing);
    expect(code).toBe(1);
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ interrupted: 1 });
  });

  it("ends when nobody reads its text any more", async () => {
    await using gateway = await startGateway();
    const run = say(["--to", gateway.url, "--out", out, FLOOD.prompt]);
    await once(run.child.stdout ?? run.child, "data");
    const closed = once(run.child, "close");
    run.child.stdout?.destroy();
    await expect(run.ended).rejects.toThrow("Premature close");
    await closed;
    expect(run.child.exitCode).toBe(1);
    await gateway.untilIdle();
    expect(gateway.status().turns).toEqual({ interrupted: 1 });
  });

  it("tells which rule a request breaks", async () => {
    await using gateway = await startGateway();
    const args = ["--to", gateway.url, "--device", "d".repeat(200), "Hello"];
    const { code, stderr } = await say(args).ended;
    expect(stderr).toContain("The gateway refuses the request: hardware_id must be at most");
    expect(code).toBe(1);
  });

  it("tells that the gateway is stopping", async () => {
    await using gateway = await startGateway();
    const run = say(["--to", gateway.url, "--out", out, PAUSED.prompt]);
    await gateway.untilSpoken(...PAUSED.sentences);
    await gateway.stop();
    const { code, stderr } = await run.ended;
    expect(stderr).toContain("The gateway cannot answer now: the gateway is stopping.");
    expect(code).toBe(1);
  });

  it("tells that the turn was interrupted", async () => {
    await using gateway = await startGateway();
    const device = randomUUID();
    const run = say(["--to", gateway.url, "--device", device, "--out", out, PAUSED.prompt]);
    await gateway.untilSpoken(...PAUSED.sentences);
    await connectClients[0]?.connect(gateway).interrupt(device);
    const { code, stderr } = await run.ended;
    expect(stderr).toContain("The turn was ended from elsewhere: the turn was interrupted.");
    expect(code).toBe(1);
  });

  it.each([
    [["--loud", "Hello"], "--loud"],
    [["--protocol", "soap", "Hello"], "--protocol must be one of grpc, grpc-web, connect."],
    [["--to", "localhost:50051", "Hello"], "--to must be a URL"],
    [["--voice", "aria", "Hello"], "--voice needs --greeting"],
    [["  "], "There is no text to send."],
  ])("refuses %j with the reason and the help", async (args, reason) => {
    const { code, stdout, stderr } = await say(args).ended;
    expect(code).toBe(2);
    expect(`${stdout}`).toBe("");
    expect(stderr).toContain(reason);
    expect(stderr).toContain("Usage: npm run say");
  });

  it("explains itself with --help", async () => {
    const { code, stdout } = await say(["--help"]).ended;
    expect(code).toBe(0);
    expect(`${stdout}`).toMatch(/^Usage: npm run say -- \[options\] TEXT\n/);
  });

  function writePlayer(name: string, script: string): void {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
});

const running = new Set<ChildProcess>();

/** Starts the program. Players come from a folder, before or instead of the machine's own. */
function say(args: readonly string[], players?: { players: string; only?: boolean }) {
  const path = [players?.players, players?.only ? undefined : process.env["PATH"]];
  const child = startSay(args, path.filter(Boolean).join(delimiter));
  return { child, ended: result(child) };
}

/** Starts the program, and reads nothing of what it writes. */
function startSay(args: readonly string[], PATH = process.env["PATH"]): ChildProcess {
  const child = spawn(process.execPath, [SAY, ...args], { env: { ...process.env, PATH } });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

async function result(child: ChildProcess) {
  if (!child.stdout || !child.stderr) throw new Error("the program has no pipes");
  const [stdout, stderr] = await Promise.all([
    child.stdout.toArray() as Promise<Buffer[]>,
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code: child.exitCode, stdout: Buffer.concat(stdout), stderr };
}

/** What a WAV file says. Fails if its header tells another length than it has. */
function readWavFile(path: string): string {
  const file = readFileSync(path);
  const lengths = [file.readUInt32LE(4), file.readUInt32LE(40)];
  expect(lengths).toEqual([file.length - 8, file.length - 44]);
  return readVoice(path);
}

/** What a WAV file says so far. */
function readVoice(path: string): string {
  return readSpelling([createWavReader().push(readFileSync(path))]);
}
