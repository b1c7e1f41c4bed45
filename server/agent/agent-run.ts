import { setTimeout as sleep } from "node:timers/promises";
import { type CommandOptions, findAgentCommand } from "./agent-command.ts";
import { type AgentProcess, startAgentProcess } from "./agent-process.ts";
import { type AgentSocket, openAgentSocket } from "./agent-socket.ts";
import type { AgentRecord } from "./agent-status.ts";
import type { OutputLog } from "./output-lines.ts";
import { AgentUnavailable, systemCode } from "./unavailable.ts";

/** How long a run of an agent may take for what, in milliseconds. */
export type RunTimes = {
  /** For the line `AGENT_READY`. */
  readonly readyMs: number;
  /** Before each of the health checks that decide without the line. */
  readonly healthGapsMs: readonly number[];
  /** Between health checks of a ready agent; three in a row that fail end it. */
  readonly healthIntervalMs: number;
  /** For the answer to a health check. */
  readonly healthTimeoutMs: number;
  /** For the agent to end by itself. */
  readonly stopGraceMs: number;
};

/** A client of one run of an agent. */
export type AgentConnection = {
  /** Asks the agent whether it is healthy. Throws `AgentUnavailable` if it is not. */
  check(signal: AbortSignal): Promise<void>;
  /** Lets calls through. */
  open(): void;
  /** Fails all calls, those in progress too. */
  close(): void;
};

/** What an agent is run with. */
export type RunOptions = CommandOptions & {
  /** `NEIRA_SOCKET_PATH`. */
  readonly socketPath?: string;
  /** Ports where no agent may listen, because the gateway does. */
  readonly reservedPorts: readonly number[];
  /** The agent's environment, without what is added here. */
  readonly env: Readonly<Record<string, string>>;
  readonly times: RunTimes;
  /** Makes the client of an agent that was started. */
  readonly connect: (socket: AgentSocket) => AgentConnection;
  readonly onOutput: OutputLog;
};

/** How a run of an agent ended. */
export type RunEnd = {
  readonly reason: string;
  /** Milliseconds that it was ready. Undefined if it never was. */
  readonly readyMs?: number;
};

const MAX_FAILED_CHECKS = 3;

/**
 * Runs an agent until it ends, hangs, or the signal fires. When it resolves, its processes, its socket
 * and its folder are gone. Never throws.
 */
export async function runAgent(
  options: RunOptions,
  record: AgentRecord,
  signal: AbortSignal,
): Promise<RunEnd> {
  let socket: AgentSocket | undefined;
  try {
    const argv = await findAgentCommand(options);
    socket = await openAgentSocket({
      ...(options.socketPath !== undefined && { path: options.socketPath }),
      platform: process.platform,
      reservedPorts: options.reservedPorts,
    });
    signal.throwIfAborted();
    record.started();
    const env = agentEnv(options.env, socket.address);
    const agent = startAgentProcess({ argv, env, log: options.onOutput });
    const connection = options.connect(socket);
    return await runProcess({ options, record, socket, agent, connection }, signal);
  } catch (error) {
    return { reason: reasonOf(error) };
  } finally {
    await socket?.release();
  }
}

function agentEnv(env: RunOptions["env"], address: string): Readonly<Record<string, string>> {
  return {
    ...env,
    NEIRA_AGENT_MODE: "production",
    NEIRA_LOG_LEVEL: "info",
    NEIRA_SOCKET_PATH: address,
    // Else Python keeps AGENT_READY in a buffer.
    PYTHONUNBUFFERED: "1",
  };
}

type Run = {
  readonly options: RunOptions;
  readonly record: AgentRecord;
  readonly socket: AgentSocket;
  readonly agent: AgentProcess;
  readonly connection: AgentConnection;
};

async function runProcess(run: Run, signal: AbortSignal): Promise<RunEnd> {
  const { options, record, agent, connection } = run;
  const life = AbortSignal.any([signal, agent.ended]);
  let readyAtMs: number | undefined;
  try {
    await untilReady(run, life);
    readyAtMs = performance.now();
    connection.open();
    record.ready();
    return await untilUnhealthy(run, life);
  } catch (error) {
    const reason = reasonOf(error);
    if (readyAtMs === undefined) return { reason };
    record.lost();
    return { reason, readyMs: performance.now() - readyAtMs };
  } finally {
    connection.close();
    await agent.stop(options.times.stopGraceMs);
  }
}

/** Waits until the agent answers a health check. Throws if it does not, or ends before. */
async function untilReady(run: Run, life: AbortSignal): Promise<void> {
  const { readyMs, healthGapsMs } = run.options.times;
  const saidReady = await withinMs(run.agent.ready, readyMs, life);
  let failure = "";
  for (const gapMs of saidReady ? [0, ...healthGapsMs] : healthGapsMs) {
    if (gapMs > 0) await pause(gapMs, life);
    try {
      await run.connection.check(life);
      await run.socket.protect();
      life.throwIfAborted();
      return;
    } catch (error) {
      life.throwIfAborted();
      failure = reasonOf(error);
    }
  }
  const said = saidReady ? "AGENT_READY came" : `no AGENT_READY for ${readyMs / 1000} s`;
  throw new AgentUnavailable(`${said}, and the health check failed: ${failure}`);
}

/** Whether the promise resolves in time. Throws the signal's reason as soon as it fires. */
async function withinMs(promise: Promise<void>, ms: number, signal: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const scope = AbortSignal.any([signal, over.signal]);
  try {
    const late = sleep(ms, false, { signal: scope }).catch(() => false);
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    over.abort();
    signal.throwIfAborted();
  }
}

/** Throws when the agent does not answer any more, or has ended. */
async function untilUnhealthy({ options, connection }: Run, life: AbortSignal): Promise<never> {
  for (let failed = 0; failed < MAX_FAILED_CHECKS; ) {
    await pause(options.times.healthIntervalMs, life);
    failed = await connection.check(life).then(
      () => 0,
      () => failed + 1,
    );
  }
  life.throwIfAborted();
  throw new AgentUnavailable(`${MAX_FAILED_CHECKS} health checks in a row failed`);
}

/** Waits. Throws the signal's reason as soon as it fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

/** The reason in words that may be shown. Of what Node throws the code alone: it names paths. */
function reasonOf(error: unknown): string {
  if (error instanceof AgentUnavailable) return error.message;
  return `the agent cannot be started${systemCode(error)}`;
}
