import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";

const entry = fileURLToPath(new URL("../server/main.ts", import.meta.url));

type Process = {
  readonly child: ChildProcess & { readonly stderr: NonNullable<ChildProcess["stderr"]> };
  readonly port: number;
  readonly exited: Promise<unknown>;
};

const processes: ChildProcess[] = [];
afterEach(async () => {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

function spawnGateway(env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [entry], {
    env: { PATH: process.env["PATH"] ?? "", HTTP_PORT: "0", GRPC_PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  processes.push(child);
  return child;
}

/** Starts the gateway as `npm start` does. Nobody reads its standard error before the test does. */
async function start(env: Readonly<Record<string, string>>): Promise<Process> {
  const child = spawnGateway(env);
  const exited = once(child, "exit").then(([code]) => code);
  let told = "";
  for await (const piece of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
    told += piece;
    if (told.includes("curl")) break;
  }
  child.stdout.resume();
  return { child, port: Number(/127\.0\.0\.1:(\d+)/.exec(told)?.[1]), exited };
}

const speak = (port: number, prompt: string, sessionId = "s") =>
  fetch(`http://127.0.0.1:${port}/v1/speak`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt, hardware_id: "d", session_id: sessionId, format: "sse" }),
  });

/** Runs turns, ten at a time. Each leaves a line of some 250 bytes in the log. */
async function runTurns(port: number, count: number): Promise<void> {
  let left = count;
  const run = async () => {
    while (left-- > 0) {
      const events = await (await speak(port, "say: a", "s".repeat(128))).text();
      expect(events).toContain("event: end");
    }
  };
  await Promise.all(Array.from({ length: 10 }, run));
}

type Line = { readonly level: number; readonly msg: string; readonly dropped?: number };
const linesOf = (log: string): Line[] =>
  log
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const turnsOf = (lines: readonly Line[]) => lines.filter(({ msg }) => msg === "turn").length;

const quiet = { SPEECH_TIERS: "tone" };

describe("a gateway whose log nobody reads", { timeout: 60_000 }, () => {
  it("answers on, and tells how much it dropped once somebody reads", async () => {
    const { child, port, exited } = await start(quiet);
    const count = 1800;
    await runTurns(port, count);
    const health = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(1000),
    });
    expect(health.status).toBe(200);
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (piece) => (log += piece));
    await vi.waitFor(() => expect(log).toMatch(/lines dropped"}\n/), { timeout: 5000 });
    await runTurns(port, 1);
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    const lines = linesOf(log);
    const dropped = lines.reduce((sum, line) => sum + (line.dropped ?? 0), 0);
    expect(dropped).toBeGreaterThan(0);
    expect(turnsOf(lines) + dropped).toBe(count + 1);
    expect(lines.at(-1)?.msg).toBe("turn");
  });

  it("stops without waiting for a reader", async () => {
    const { child, port, exited } = await start(quiet);
    await runTurns(port, 500);
    const sinceMs = performance.now();
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(performance.now() - sinceMs).toBeLessThan(5000);
  });

  it("loses no line at its end if somebody reads in time", async () => {
    const { child, port, exited } = await start(quiet);
    await runTurns(port, 600);
    child.kill("SIGTERM");
    const log = await text(child.stderr);
    expect(await exited).toBe(0);
    expect(turnsOf(linesOf(log))).toBe(600);
  });
});

describe("a gateway that cannot start", { timeout: 60_000 }, () => {
  it("tells why before it ends, to a reader that comes late", async () => {
    const child = spawnGateway({ HTTP_PORT: "http", AUDIO_CHUNK_MS: "0" });
    const exited = once(child, "exit");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await text(child.stderr)).toMatch(/^Parley cannot start\. .*HTTP_PORT.*AUDIO_CHUNK_MS/s);
    expect((await exited)[0]).toBe(1);
  });
});

describe("a client that leaves", { timeout: 60_000 }, () => {
  const rpc = "/streaming.StreamingService/StreamAudio";
  const requests = [
    ["/v1/speak", "application/json"],
    [rpc, "application/connect+json"],
    [rpc, "application/grpc"],
    ["/streaming.StreamingService/InterruptSession", "application/json"],
  ] as const;

  it("in the midst of its request or of its answer is no warning and no error", async () => {
    const { child, port, exited } = await start(quiet);
    for (const [path, type] of requests) {
      const socket = connect(port, "127.0.0.1");
      const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 99\r\n\r\nabc`;
      await new Promise((resolve) => socket.write(head, resolve));
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      const headers = { ":method": "POST", ":path": path, "content-type": type };
      const stream = session.request({ ...headers, "content-length": 99 });
      stream.on("error", () => undefined);
      await new Promise((resolve) => stream.write("abc", resolve));
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.destroy();
      stream.close(8);
      await once(stream, "close");
      session.destroy();
    }
    const answer = await speak(port, `say: ${"A sentence of some length. ".repeat(500)}`);
    await answer.body?.getReader().read();
    await answer.body?.cancel().catch(() => undefined);
    child.kill("SIGTERM");
    const lines = linesOf(await text(child.stderr));
    expect(await exited).toBe(0);
    expect(lines.map(({ msg }) => msg)).toContain("a client left before its request was whole");
    expect(lines.filter(({ level }) => level > 30)).toEqual([]);
  });
});

/** The processes that a process started, and those that they did. */
function descendantsOf(pid: number | undefined): number[] {
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const pairs = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const find = (parent: number): number[] =>
    pairs.flatMap(([child = 0, of]) => (of === parent ? [child, ...find(child)] : []));
  return pid === undefined ? [] : find(pid);
}

describe("SIGHUP", { timeout: 60_000 }, () => {
  it.each([1, 2])(
    "drains the gateway and leaves no process behind, when it comes %d times",
    async (times) => {
      // Waits for ever, with a process of its own, and speaks nothing.
      const argv = JSON.stringify(["sh", "-c", "sleep 600 & wait"]);
      const { child, port, exited } = await start({
        SPEECH_TIERS: "command,local",
        SPEECH_COMMAND: argv,
      });
      child.stderr.resume();
      const turn = speak(port, "say: Hello.").then((answer) => answer.text());
      // The voice's worker, the program, and what the program started.
      const started = await vi.waitUntil(
        () => {
          const pids = descendantsOf(child.pid);
          return pids.length >= 3 && pids;
        },
        { timeout: 10_000, interval: 50 },
      );
      for (let time = 0; time < times; time++) child.kill("SIGHUP");
      expect(await turn).toContain('"code":"unavailable"');
      expect(await exited).toBe(0);
      const alive = () => started.filter((pid) => isAlive(pid));
      await vi.waitFor(() => expect(alive()).toEqual([]), { timeout: 2000 });
    },
  );
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
