import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import type { Breaker } from "../failover/breaker.ts";
import type { LogFields } from "../telemetry/logger.ts";
import { type Calls, createCalls } from "./calls.ts";

const { processPrompt, desktopClick } = PythonAgentService.method;
const never = new AbortController().signal;
const lost = new ConnectError("connect ECONNREFUSED /run/user/1/agent.sock", Code.Unavailable);

let nowMs: number;
let breaker: Breaker;
let calls: Calls;
let log: LogFields[];

beforeEach(() => {
  nowMs = 0;
  log = [];
  const write = (fields: LogFields) => void log.push(fields);
  const logger = { debug: write, info: write, warn: write, error: write };
  calls = createCalls({ timeoutMs: 30_000, logger, breakerOptions: { now: () => nowMs } });
  breaker = calls.breaker;
});

const begin = (signal = never) => calls.begin(processPrompt, { signal });

function failFiveTimes(): void {
  for (let at = 0; at < 5; at++) begin().fail(lost);
}

/** An error as the agent sends it. */
function sent(code: Code, message: string): ConnectError {
  return new ConnectError(message, code, { "grpc-status": String(code) });
}

describe("createCalls", () => {
  it("opens the circuit at the fifth failure, and says for how long", () => {
    failFiveTimes();
    expect(breaker.state()).toBe("OPEN");
    nowMs = 8500;
    expect(begin).toThrow("[unavailable] circuit open; retrying in 22 s");
  });

  it("admits one trial after 30 s, which closes the circuit or opens it again", () => {
    failFiveTimes();
    nowMs = 30_000;
    expect(breaker.state()).toBe("HALF_OPEN");
    const trial = begin();
    expect(begin).toThrow("circuit open");
    trial.fail(lost);
    expect(breaker.state()).toBe("OPEN");
    nowMs = 60_000;
    begin().succeed();
    expect(breaker.state()).toBe("CLOSED");
  });

  it("leaves the trial to the next call when its caller goes", () => {
    failFiveTimes();
    nowMs = 30_000;
    begin().forget();
    expect(breaker.state()).toBe("HALF_OPEN");
    begin().leave();
    const stream = begin();
    stream.answered();
    stream.leave();
    expect(breaker.state()).toBe("CLOSED");
  });

  it("lets calls with a breaker of their own through", () => {
    failFiveTimes();
    const call = calls.begin(processPrompt, { signal: never, isUnguarded: true });
    call.fail(lost);
    expect(calls.counts()).toMatchObject({ succeeded: 0, failed: 6 });
  });

  it("forgets everything when another agent is there", () => {
    failFiveTimes();
    calls.reset();
    expect(breaker.state()).toBe("CLOSED");
  });

  it("passes an agent's refusal on, and does not count it as a failure", () => {
    const error = begin().fail(sent(Code.InvalidArgument, "no such\nfile"));
    expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: "no such file" });
    expect(calls.counts()).toMatchObject({ succeeded: 1, failed: 0 });
  });

  it.each([
    ["a crash in the agent", sent(Code.Unknown, "/home/me: KeyError"), "the agent failed"],
    ["its cancel", sent(Code.Canceled, ""), "the agent is not available"],
    ["its deadline", sent(Code.DeadlineExceeded, ""), "the agent ran out of time"],
    ["a lost connection", lost, "the agent was lost during the call"],
    ["a large answer", new ConnectError("", Code.ResourceExhausted), "answer is too large"],
    ["garbage", new ConnectError("parse binary: x", Code.Internal), "answer cannot be read"],
    ["HTML", new ConnectError("HTTP 500", Code.Internal), "did not answer in gRPC"],
  ])("tells of %s in its own words", (_, thrown, message) => {
    const error = begin().fail(thrown) as ConnectError;
    expect(error.rawMessage).toContain(message);
    expect(error.metadata.get("parley-channel")).toBe(
      "neira.agent.PythonAgentService/ProcessPrompt",
    );
  });

  it("logs its own side of an error with the stack, and nothing that the agent wrote", () => {
    begin().fail(lost);
    begin().fail(sent(Code.Unknown, "could not parse: Tell me a secret"));
    expect(log[0]).toMatchObject({
      channel: "neira.agent.PythonAgentService/ProcessPrompt",
      detail: expect.stringContaining("ECONNREFUSED"),
      stack: expect.stringContaining("calls.test.ts"),
    });
    expect(JSON.stringify(log[1])).not.toContain("secret");
  });

  it("returns the reason of a caller that went, which says nothing about the agent", () => {
    const left = new AbortController();
    const call = begin(left.signal);
    const reason = new Error("left");
    left.abort(reason);
    expect(call.fail(new ConnectError("", Code.Canceled))).toBe(reason);
    expect(calls.counts()).toEqual({ succeeded: 0, failed: 0 });
  });

  it("does not blame the agent for a deadline that was short", () => {
    const call = calls.begin(processPrompt, { signal: never, timeoutMs: 10 });
    expect(call.timeoutMs).toBe(10);
    expect(call.fail(new ConnectError("", Code.DeadlineExceeded))).toMatchObject({
      code: Code.DeadlineExceeded,
    });
    expect(calls.counts()).toEqual({ succeeded: 0, failed: 0 });
  });

  it("names the methods there are where one is missing, less those known to be missing", () => {
    const lack = (method: typeof processPrompt | typeof desktopClick) =>
      (calls.begin(method, { signal: never }).fail(sent(Code.Unimplemented, "")) as ConnectError)
        .rawMessage;
    expect(lack(desktopClick)).toMatch(
      /^the agent has no method DesktopClick; it has HealthCheck, ProcessPrompt, /,
    );
    expect(lack(processPrompt)).not.toMatch(/it has .*(ProcessPrompt|DesktopClick)/);
  });
});
