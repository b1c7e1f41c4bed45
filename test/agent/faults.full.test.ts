import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, describe, expect, it, vi } from "vitest";
import { PromptRequestSchema } from "../../gen/neira/agent/agent_pb.ts";
import { agentPath } from "../../server/agent/agent-command.ts";
import { supervisorTimes } from "../../server/agent/supervisor.ts";
import { itUnless } from "../support/it-unless.ts";
import { stallProcess } from "../support/stall.ts";
import { faultCommand, methods, never, startAgent, type TestAgent } from "./agents.ts";

const folder = await mkdtemp(join(tmpdir(), "agent-faults-"));
afterAll(() => rm(folder, { recursive: true }));

const promptOf = (prompt: string) => create(PromptRequestSchema, { prompt });

function ask({ agent }: TestAgent, prompt: string, signal = never) {
  return agent.unary(methods.processPrompt, promptOf(prompt), { signal });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("an agent that cannot start", () => {
  it.each([
    ["is missing", ["/nowhere/neira-agent"], "the agent cannot be started (ENOENT)"],
    ["exits at once", faultCommand("exit"), "the agent exited with code 3"],
  ])("%s: is told, and tried again", async (_, argv, reason) => {
    await using agent = startAgent(argv);
    await agent.untilState("mock");
    expect(agent.agent.status()).toMatchObject({ reason, since: expect.stringMatching(/Z$/) });
    expect(await agent.agent.absence(never)).toBe(reason);
    await vi.waitFor(() => expect(agent.agent.status().restarts).toBeGreaterThan(0), 5000);
    expect(agent.agent.status().state).toBe("mock");
  });

  it.each([
    ["is never ready", "never-ready", 400, "no AGENT_READY for 0.4 s"],
    ["is ready but deaf", "deaf", 15_000, "AGENT_READY came"],
    ["is not healthy", "unhealthy", 15_000, "the agent says that it is not healthy"],
  ])("%s: is ended after three health checks", async (_, fault, readyMs, reason) => {
    await using agent = startAgent(faultCommand(fault), { times: { readyMs, retryMs: 60_000 } });
    await agent.untilState("mock");
    expect(agent.agent.status().reason).toContain(reason);
    expect(agent.agent.status().reason).toContain("the health check failed");
  });

  it("starts as soon as its program is there, without a restart of the gateway", async () => {
    const dir = join(folder, "late");
    await using agent = startAgent(undefined, { dir });
    await agent.untilState("mock");
    expect(agent.agent.status().reason).toMatch(
      /^AGENT_DIR has no program for \w+-\w+ \(ENOENT\)$/,
    );
    const path = agentPath(dir, process);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `#!/bin/sh\nexec ${faultCommand().join(" ")}\n`, { mode: 0o755 });
    await agent.untilState("ready");
    expect((await ask(agent, "hello")).response).toBe("You said: hello");
  });
});

describe("an agent that is ready", () => {
  it.each([
    ["at once", []],
    ["after 2 s", ["slow", "2000"]],
  ])("%s: is taken in under 3 s, with the contract's times", async (_, fault) => {
    await using agent = startAgent(faultCommand(...fault), { times: supervisorTimes });
    const readyLine = expect.objectContaining({ stream: "stdout", line: "AGENT_READY" });
    await vi.waitFor(() => expect(agent.log).toContainEqual(readyLine), {
      timeout: 20_000,
      interval: 5,
    });
    const saidMs = performance.now();
    await agent.untilState("ready");
    expect(performance.now() - saidMs).toBeLessThan(3000);
    expect((await ask(agent, "hello")).response).toBe("You said: hello");
  });
});

describe("an agent that is slow to start", () => {
  it("is waited for, and never replaced by a mock", async () => {
    await using agent = startAgent(faultCommand("slow", "2000"));
    expect(await agent.agent.absence(never)).toBeUndefined();
    expect(agent.log.filter(({ state }) => state === "mock")).toEqual([]);
    expect(agent.agent.status()).toMatchObject({ state: "ready", restarts: 0 });
    expect(agent.agent.status().metrics.initialization_time).toBeGreaterThan(1900);
  });

  it("is taken without AGENT_READY when its health check passes", async () => {
    await using agent = startAgent(faultCommand("silent"), {
      times: { readyMs: 500, healthGapsMs: [500, 1000, 2000] },
    });
    await agent.untilState("ready");
    expect(agent.agent.status().restarts).toBe(0);
  });
});

describe("an agent that is lost", () => {
  it("is started again, and answers again", async () => {
    await using agent = startAgent(faultCommand());
    await agent.untilState("ready");
    await expect(agent.run("exit")).rejects.toMatchObject({ code: Code.Unavailable });
    await agent.untilState("restarting");
    expect(agent.agent.status().reason).toBe("the agent exited with code 7");
    await agent.untilState("ready");
    expect(agent.agent.status()).toMatchObject({
      reason: "the agent exited with code 7",
      restarts: 1,
      metrics: { recovery_time: expect.any(Number), circuit_breaker_state: "CLOSED" },
    });
    expect((await ask(agent, "again")).response).toBe("You said: again");
  });

  it("is left for the next retry after five losses in a row, each after a longer wait", async () => {
    await using agent = startAgent(faultCommand("crash"), {
      times: { backoffMs: 10, retryMs: 60_000 },
    });
    await agent.untilState("mock");
    expect(agent.agent.status().reason).toBe("the agent exited with code 9; lost 5 times in a row");
    expect(agent.agent.status().restarts).toBe(4);
  });

  it("dies in mid-stream: its caller keeps what came, and is told", async () => {
    await using agent = startAgent(faultCommand("die-midway"));
    await agent.untilState("ready");
    const request = promptOf("count");
    let words = "";
    const reading = (async () => {
      const caller = { signal: never };
      for await (const step of agent.agent.stream(
        methods.processStreamingPrompt,
        request,
        caller,
      )) {
        words += step.delta;
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.Unavailable });
    expect(words).toBe("One two three ");
    await agent.untilState("restarting");
    expect(agent.agent.status().reason).toBe("the agent was killed by SIGKILL");
  });
});

describe("an agent that hangs", () => {
  it("in a call: the deadline ends the call there and here, and five open the circuit", async () => {
    await using agent = startAgent(faultCommand(), { timeoutMs: 150 });
    await agent.untilState("ready");
    for (let at = 0; at < 5; at++) {
      await expect(ask(agent, "hang")).rejects.toMatchObject({
        code: Code.DeadlineExceeded,
        rawMessage: "the agent did not answer in time",
      });
    }
    expect(agent.agent.status().metrics).toMatchObject({
      circuit_breaker_state: "OPEN",
      failure_rate: 1,
    });
    await expect(ask(agent, "hello")).rejects.toMatchObject({
      code: Code.Unavailable,
      rawMessage: expect.stringMatching(/^circuit open; retrying in \d+ s$/),
    });
    expect(agent.agent.status().state).toBe("ready");
  });

  it("stopped by SIGSTOP: health checks notice, and it is started again", {
    timeout: 60_000,
  }, async () => {
    await using agent = startAgent(faultCommand(), {
      times: { healthIntervalMs: 50, healthTimeoutMs: 200, stopGraceMs: 100 },
    });
    await agent.untilState("ready");
    const pid = Number(await agent.run("pid"));
    stallProcess(pid);
    await vi.waitFor(() => expect(agent.agent.status().restarts).toBe(1), 10_000);
    await agent.untilState("ready");
    expect(agent.agent.status().reason).toBe("3 health checks in a row failed");
    expect(isAlive(pid)).toBe(false);
  });

  it("at its end: it is killed after the grace, with what it started", async () => {
    const agent = startAgent(faultCommand("stubborn"), { times: { stopGraceMs: 200 } });
    await agent.untilState("ready");
    const pids = [Number(await agent.run("pid")), Number(await agent.run("child"))];
    expect(pids.map(isAlive)).toEqual([true, true]);
    await agent.agent.stop();
    await vi.waitFor(() => expect(pids.map(isAlive)).toEqual([false, false]), 5000);
    expect(agent.agent.status().state).toBe("stopped");
  });
});

describe("an agent that writes too much", () => {
  it("garbage to its standard output: is ready all the same", async () => {
    await using agent = startAgent(faultCommand("garbage"));
    await agent.untilState("ready");
    expect((await ask(agent, "hello")).response).toBe("You said: hello");
    for (const line of agent.log)
      expect(String(line["line"] ?? "").length).toBeLessThanOrEqual(500);
  });

  it("a flood to its standard error: is logged in part, and answers", async () => {
    await using agent = startAgent(faultCommand("flood"));
    await agent.untilState("ready");
    await vi.waitFor(() => {
      expect(agent.log).toContainEqual(
        expect.objectContaining({ stream: "stderr", message: "agent output dropped" }),
      );
    }, 10_000);
    expect((await ask(agent, "hello")).response).toBe("You said: hello");
    const seconds =
      agent.log.filter(({ message }) => message === "agent output dropped").length + 1;
    const logged = agent.log.filter((line) => String(line["line"]).startsWith("flood"));
    expect(logged.length).toBeLessThanOrEqual(50 * (seconds + 1));
  });
});

describe("GOAWAY", () => {
  it.each([
    ["without an error, on an idle connection", "0"],
    ["with an error, on an idle connection", "2"],
    ["too many pings", "11"],
  ])("%s: the next call has a new connection", async (_, code) => {
    await using agent = startAgent(faultCommand());
    await agent.untilState("ready");
    for (let at = 0; at < 3; at++) {
      // With an error code the answer may be lost as well.
      await agent.run("goaway", { code }).catch(() => undefined);
      await vi.waitFor(async () => {
        expect((await ask(agent, "hello")).response).toBe("You said: hello");
      }, 5000);
    }
    expect(agent.agent.status()).toMatchObject({ state: "ready", restarts: 0 });
  });

  it("during a stream: the stream goes on, and calls beside it work", async () => {
    await using agent = startAgent(faultCommand());
    await agent.untilState("ready");
    const caller = { signal: never };
    let words = "";
    const steps = agent.agent.stream(methods.processStreamingPrompt, promptOf("count"), caller);
    for await (const step of steps) {
      if (words === "") await agent.run("goaway", { code: "0" });
      words += step.delta;
    }
    expect(words).toBe("One two three done.");
    expect((await ask(agent, "hello")).response).toBe("You said: hello");
  });
});

describe("a socket", () => {
  it("that another process listens on is left alone", async () => {
    const socketPath = join(folder, "taken.sock");
    const server = createServer().listen(socketPath);
    await once(server, "listening");
    await using agent = startAgent(faultCommand(), { socketPath });
    await agent.untilState("mock");
    expect(agent.agent.status().reason).toBe("the socket is in use by another process");
    expect((await stat(socketPath)).isSocket()).toBe(true);
    server.close();
    await agent.untilState("ready");
  });

  itUnless(process.getuid?.() !== 0)("of another user is left alone", async () => {
    const socketPath = join(folder, "foreign.sock");
    await leaveStaleSocket(socketPath);
    await chown(socketPath, 12_345, 12_345);
    await using agent = startAgent(faultCommand(), { socketPath });
    await agent.untilState("mock");
    expect(agent.agent.status().reason).toBe("the socket belongs to another user");
    expect((await stat(socketPath)).uid).toBe(12_345);
  });

  it("that is a file is left alone", async () => {
    const socketPath = join(folder, "file.sock");
    await writeFile(socketPath, "precious");
    await using agent = startAgent(faultCommand(), { socketPath });
    await agent.untilState("mock");
    expect(agent.agent.status().reason).toBe("NEIRA_SOCKET_PATH names a file, not a socket");
    expect((await stat(socketPath)).size).toBe(8);
  });

  it("of ours that is stale is replaced; it is 0600, and gone at the end", async () => {
    const socketPath = join(folder, "stale.sock");
    await leaveStaleSocket(socketPath);
    const agent = startAgent(faultCommand(), { socketPath });
    await agent.untilState("ready");
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
    await agent.agent.stop();
    expect(await readdir(folder)).not.toContain("stale.sock");
  });

  it("without a name is in a folder of mode 0700, which is gone at the end", async () => {
    const agent = startAgent(faultCommand());
    await agent.untilState("ready");
    const { NEIRA_SOCKET_PATH: path = "" } = JSON.parse(await agent.run("env"));
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await agent.agent.stop();
    await expect(stat(dirname(path))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

/** A socket whose process died without removing it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const code = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", code, path]), "exit");
  expect((await stat(path)).isSocket()).toBe(true);
}
