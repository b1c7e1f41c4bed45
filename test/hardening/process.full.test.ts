import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { endProcesses, linesOf, spawnGateway, speak, start } from "./gateway-process.ts";

afterEach(endProcesses);

const quiet = { SPEECH_TIERS: "tone" };

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
    const reader = answer.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    child.kill("SIGTERM");
    const lines = linesOf(await text(child.stderr));
    expect(await exited).toBe(0);
    expect(lines.map(({ msg }) => msg)).toContain(
      "client disconnected before its request was complete",
    );
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
        SHUTDOWN_GRACE: "0.5",
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
