import { setTimeout as sleep } from "node:timers/promises";
import { type RunEnd, type RunOptions, type RunTimes, runAgent } from "./agent-run.ts";
import { type AgentRecord, createAgentRecord, type SupervisorStatus } from "./agent-status.ts";
import { AgentUnavailable } from "./unavailable.ts";

/** How long a supervisor waits, in milliseconds. */
export type SupervisorTimes = RunTimes & {
  /** Before the first restart; twice as long before each that follows. */
  readonly backoffMs: number;
  /** How long an agent must be ready until its earlier losses are forgotten. */
  readonly stableMs: number;
  /** Between attempts while there is no agent. */
  readonly retryMs: number;
};

/** The contract's times, and ours. */
export const supervisorTimes: SupervisorTimes = {
  readyMs: 15_000,
  healthGapsMs: [500, 1000, 2000],
  healthIntervalMs: 10_000,
  healthTimeoutMs: 5000,
  stopGraceMs: 2000,
  backoffMs: 500,
  stableMs: 60_000,
  retryMs: 30_000,
};

/** Losses in a row after which restarts wait for the next retry. */
const MAX_LOSSES = 5;

/** What a supervisor works with. */
export type SupervisorOptions = RunOptions & {
  readonly times: SupervisorTimes;
  /** Called with each new state. */
  readonly onState: (status: SupervisorStatus) => void;
};

/** Keeps an agent running. */
export type Supervisor = {
  /** Starts the first agent, and returns at once. */
  start(): void;
  /** Ends the agent with everything that it started. */
  stop(): Promise<void>;
  status(): SupervisorStatus;
  /** Resolves when an agent is ready, or it is clear that there is none for now. */
  settled(): Promise<void>;
};

/** Makes a supervisor. Nothing runs before `start`. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const stopping = new AbortController();
  const settled = Promise.withResolvers<void>();
  const isOff = options.argv === undefined && options.dir === undefined;
  const first = isOff
    ? ({ state: "off", reason: "AGENT_COMMAND and AGENT_DIR are not set" } as const)
    : ({ state: "starting" } as const);
  const record = createAgentRecord(first, (status) => {
    settled.resolve();
    options.onState(status);
  });
  let supervision = Promise.resolve();
  if (isOff) settled.resolve();
  return {
    start() {
      if (!isOff) supervision = supervise(options, record, stopping.signal);
    },
    async stop() {
      if (isOff) return;
      stopping.abort(new AgentUnavailable("the gateway is stopping"));
      record.enter("stopped", "the gateway is stopping");
      await supervision;
    },
    status: record.read,
    settled: () => settled.promise,
  };
}

/** Runs one agent after another until the signal fires. */
async function supervise(
  options: SupervisorOptions,
  record: AgentRecord,
  signal: AbortSignal,
): Promise<void> {
  const { times } = options;
  let losses = 0;
  while (!signal.aborted) {
    const run = await runAgent(options, record, signal);
    if (signal.aborted) return;
    losses = countLosses(losses, run, times.stableMs);
    if (run.readyMs === undefined) {
      record.enter("mock", run.reason);
    } else if (losses >= MAX_LOSSES) {
      record.enter("mock", `${run.reason}; lost ${losses} times in a row`);
    } else {
      record.enter("restarting", run.reason);
    }
    const isRestarting = record.read().state === "restarting";
    const waitMs = isRestarting ? times.backoffMs * 2 ** (losses - 1) : times.retryMs;
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Losses in a row. One that was stable has no others before it; a failed start ends the row. */
function countLosses(before: number, { readyMs }: RunEnd, stableMs: number): number {
  if (readyMs === undefined) return 0;
  return readyMs < stableMs ? before + 1 : 1;
}
