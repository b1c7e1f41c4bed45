import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { expect, vi } from "vitest";
import { CustomFunctionRequestSchema, PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import { type Agent, type AgentOptions, createAgent } from "../../server/agent/agent.ts";
import type { AgentState } from "../../server/agent/agent-status.ts";
import type { LogFields, Logger } from "../../server/telemetry/logger.ts";

/** The methods of the contract. */
export const methods = PythonAgentService.method;

/** A line of the log. */
type LogLine = LogFields & { readonly level: string; readonly message: string };

/** The command of an agent that goes wrong as the words say; without words it works. */
export function faultCommand(...fault: readonly string[]): readonly string[] {
  const entry = fileURLToPath(new URL("./fault-agent.ts", import.meta.url));
  return [process.execPath, entry, ...fault];
}

/** The command of the agent in TypeScript among the examples. */
export function exampleCommand(): readonly string[] {
  const entry = new URL("../../examples/agent-typescript/agent.ts", import.meta.url);
  return [process.execPath, fileURLToPath(entry)];
}

/** An agent under test, supervised in this process. */
export type TestAgent = AsyncDisposable & {
  readonly agent: Agent;
  readonly log: readonly LogLine[];
  /** Waits until `/status` would tell the state, at most 20 s. */
  untilState(state: AgentState): Promise<void>;
  /** Calls a custom function. */
  run(name: string, parameters?: Record<string, string>): Promise<string>;
};

/** A signal that does not fire. */
export const never = new AbortController().signal;

/** Starts an agent with times short enough for a test. */
export function startAgent(
  argv: readonly string[] | undefined,
  options: Partial<AgentOptions> = {},
): TestAgent {
  const log: LogLine[] = [];
  const { times, ...rest } = options;
  const agent = createAgent(
    {
      ...(argv && { argv }),
      reservedPorts: [],
      env: { PATH: process.env["PATH"] ?? "" },
      timeoutMs: 10_000,
      maxMessageBytes: 1024 * 1024,
      ...rest,
      times: { retryMs: 300, backoffMs: 20, healthGapsMs: [50, 100, 200], ...times },
    },
    recorder(log),
  );
  agent.start();
  return {
    agent,
    log,
    untilState: (state) =>
      vi.waitFor(() => expect(agent.status()).toMatchObject({ state }), {
        timeout: 20_000,
        interval: 5,
      }),
    async run(functionName, parameters = {}) {
      const request = create(CustomFunctionRequestSchema, { functionName, parameters });
      const caller = { signal: never };
      return (await agent.unary(methods.callCustomFunction, request, caller)).result;
    },
    [Symbol.asyncDispose]: agent.stop,
  };
}

function recorder(log: LogLine[]): Logger {
  const at = (level: string) => (fields: LogFields, message: string) => {
    log.push({ ...fields, level, message });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
