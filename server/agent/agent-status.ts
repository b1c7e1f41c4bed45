/**
 * How the agent is.
 * - `off`: none is configured.
 * - `starting`: it was started, and is not ready yet.
 * - `ready`: it takes calls.
 * - `restarting`: it was lost, and is started again soon.
 * - `mock`: there is none. It is tried again from time to time.
 * - `stopped`: the gateway stops.
 */
export type AgentState = "off" | "starting" | "ready" | "restarting" | "mock" | "stopped";

/** How the agent is, for `/status`. */
export type SupervisorStatus = {
  readonly state: AgentState;
  /** Why. For a ready agent: why the one before it was lost, if there was one. */
  readonly reason?: string;
  /** When the state began, in RFC 3339. */
  readonly since: string;
  /** How often the program was started again. */
  readonly restarts: number;
  /** Milliseconds from the last start of the program until it was ready. */
  readonly initializationMs?: number;
  /** Milliseconds from the last loss of a ready agent until there was one again. */
  readonly recoveryMs?: number;
};

/** What happens to an agent, in order. */
export type AgentRecord = {
  read(): SupervisorStatus;
  enter(state: AgentState, reason?: string): void;
  /** The program is started. */
  started(): void;
  /** The agent that was started last takes calls. */
  ready(): void;
  /** The ready agent is gone. */
  lost(): void;
};

/** Makes the record of an agent. `onChange` is called with each new state. */
export function createAgentRecord(
  first: Pick<SupervisorStatus, "state" | "reason">,
  onChange: (status: SupervisorStatus) => void,
): AgentRecord {
  let status: SupervisorStatus = { ...first, since: new Date().toISOString(), restarts: 0 };
  let startedMs: number | undefined;
  let lostMs: number | undefined;

  const enter = (state: AgentState, reason?: string) => {
    const { reason: _, ...facts } = status;
    status = { ...facts, state, since: new Date().toISOString(), ...(reason && { reason }) };
    onChange(status);
  };
  return {
    read: () => status,
    enter,
    started() {
      if (startedMs !== undefined) status = { ...status, restarts: status.restarts + 1 };
      startedMs = performance.now();
    },
    ready() {
      const nowMs = performance.now();
      status = {
        ...status,
        initializationMs: Math.round(nowMs - (startedMs ?? nowMs)),
        ...(lostMs !== undefined && { recoveryMs: Math.round(nowMs - lostMs) }),
      };
      lostMs = undefined;
      enter("ready", status.reason);
    },
    lost() {
      lostMs = performance.now();
    },
  };
}
