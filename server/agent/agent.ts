import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import { abortable, onAbort } from "../core/async.ts";
import type { Breaker } from "../failover/breaker.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type AgentLink, createAgentLink } from "./agent-link.ts";
import type { AgentConnection, RunOptions } from "./agent-run.ts";
import type { AgentSocket } from "./agent-socket.ts";
import type { SupervisorStatus } from "./agent-status.ts";
import { judge, tooLate, unavailable } from "./call-errors.ts";
import { type Call, type CallCounts, type Caller, createCalls } from "./calls.ts";
import { createSupervisor, type SupervisorTimes, supervisorTimes } from "./supervisor.ts";
import type { UnaryCaller } from "./unary-call.ts";
import { AgentUnavailable } from "./unavailable.ts";

/** The settings of the agent. */
export type AgentOptions = Pick<
  RunOptions,
  "argv" | "dir" | "socketPath" | "reservedPorts" | "env"
> & {
  /** Milliseconds that a call may take. */
  readonly timeoutMs: number;
  readonly maxMessageBytes: number;
  /** Times that differ from the contract's. */
  readonly times?: Partial<SupervisorTimes>;
};

/** What `/status` tells of the agent. */
export type AgentStatus = SupervisorStatus & {
  /** 0 to 1; absent before the first call. */
  readonly successRate?: number;
  /** By the names of the contract; times in milliseconds. */
  readonly metrics: {
    /** From the last start of the program until it was ready. */
    readonly initialization_time?: number;
    readonly circuit_breaker_state: ReturnType<Breaker["state"]>;
    /** 0 to 1. */
    readonly failure_rate: number;
    /** From the last loss of a ready agent until there was one again. */
    readonly recovery_time?: number;
    /** The median of the last hundred calls. */
    readonly response_time?: number;
  };
};

/** The local agent, whether it runs or not. */
export type Agent = {
  /** Starts it, and returns at once. */
  start(): void;
  /** Ends it with everything that it started. Calls in progress fail. */
  stop(): Promise<void>;
  status(): AgentStatus;
  /** The breaker of all calls, for the tier as well. */
  readonly breaker: Breaker;
  /** Why there is no agent; undefined if there is one. Waits for an agent that is starting. */
  absence(signal: AbortSignal): Promise<string | undefined>;
  /**
   * Calls a method. Throws a `ConnectError` with the trailers `parley-channel` and `parley-time`, or the reason of the
   * caller's signal.
   */
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    message: MessageShape<I>,
    caller: Caller,
  ): Promise<MessageShape<O>>;
  /** Calls a method that streams. When the signal fires or the reader leaves, the agent is told. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodStreaming<I, O>,
    message: MessageShape<I>,
    caller: Caller,
  ): AsyncIterable<MessageShape<O>>;
};

/** Makes the agent. Nothing runs before `start`. */
export function createAgent(options: AgentOptions, logger: Logger): Agent {
  const calls = createCalls({ timeoutMs: options.timeoutMs, logger });
  const times = { ...supervisorTimes, ...options.times };
  let current: AgentLink | undefined;

  const connect = (socket: AgentSocket): AgentConnection => {
    const link = createAgentLink(socket, options.maxMessageBytes);
    return {
      check: (signal) => checkHealth(link.unary, times.healthTimeoutMs, signal),
      open() {
        calls.reset();
        current = link;
      },
      close() {
        current = undefined;
        link.close();
      },
    };
  };
  const supervisor = createSupervisor({
    ...options,
    times,
    connect,
    onState: (status) => logState(logger, status),
    onOutput: (fields, message) => logger.info(fields, message),
  });
  const absence = () => {
    if (current) return undefined;
    const { state, reason = `it is ${state}` } = supervisor.status();
    return reason;
  };
  const begin: Begin = (method, caller) => {
    if (current) return { link: current, call: calls.begin(method, caller) };
    throw unavailable(`${method.parent.typeName}/${method.name}`, `no agent: ${absence()}`);
  };
  return {
    start: supervisor.start,
    stop: supervisor.stop,
    breaker: calls.breaker,
    async absence(signal) {
      if (!current) await abortable(supervisor.settled(), signal);
      return absence();
    },
    unary: (method, message, caller) => callUnary(begin, { method, message, caller }),
    stream: (method, message, caller) => callStream(begin, { method, message, caller }),
    status: () => toStatus(supervisor.status(), calls.counts(), calls.breaker.state()),
  };
}

function logState(logger: Logger, { state, reason, restarts }: SupervisorStatus): void {
  const level = state === "mock" || state === "restarting" ? "warn" : "info";
  logger[level]({ state, reason, restarts }, "agent");
}

/** Begins a call of the agent that is ready. Throws if there is none, or its circuit is open. */
type Begin = (method: DescMethod, caller: Caller) => { link: AgentLink; call: Call };

type Request<Method, I extends DescMessage> = {
  readonly method: Method;
  readonly message: MessageShape<I>;
  readonly caller: Caller;
};

async function callUnary<I extends DescMessage, O extends DescMessage>(
  begin: Begin,
  { method, message, caller }: Request<DescMethodUnary<I, O>, I>,
): Promise<MessageShape<O>> {
  const { link, call } = begin(method, caller);
  try {
    const { signal, flow, traceparent } = caller;
    const limits = { signal, flow, traceparent, timeoutMs: call.timeoutMs };
    const answer = await link.unary(method, message, limits);
    call.succeed();
    return answer;
  } catch (error) {
    throw call.fail(error);
  }
}

async function* callStream<I extends DescMessage, O extends DescMessage>(
  begin: Begin,
  { method, message, caller }: Request<DescMethodStreaming<I, O>, I>,
): AsyncGenerator<MessageShape<O>> {
  const { link, call } = begin(method, caller);
  const rpc = new AbortController();
  // Connect's own timer would outlive a call that is not read to its end.
  const timer = setTimeout(() => rpc.abort(tooLate()), call.timeoutMs);
  // Not in `finally` alone: a reader whose client has left may never pull again.
  const forget = onAbort(caller.signal, (reason) => {
    clearTimeout(timer);
    rpc.abort(reason);
    call.forget();
  });
  try {
    const init = once(message as MessageInitShape<I>);
    const { traceparent } = caller;
    const header = {
      "grpc-timeout": `${Math.ceil(call.timeoutMs)}m`,
      ...(traceparent !== undefined && { traceparent }),
    };
    const opened = await link.transport.stream(method, rpc.signal, undefined, header, init);
    // Not for await: it would wait for the agent when its reader leaves.
    const answers = opened.message[Symbol.asyncIterator]();
    for (let step = await answers.next(); !step.done; step = await answers.next()) {
      call.answered();
      yield step.value;
    }
    caller.signal.throwIfAborted();
    call.succeed();
  } catch (error) {
    throw call.fail(rpc.signal.aborted ? rpc.signal.reason : error);
  } finally {
    clearTimeout(timer);
    forget();
    call.leave();
    rpc.abort();
  }
}

async function checkHealth(
  unary: UnaryCaller,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const method = PythonAgentService.method.healthCheck;
  const request = create(method.input, { service: "python-agent" });
  const answer = await unary(method, request, { signal, timeoutMs }).catch((error) => {
    signal.throwIfAborted();
    throw new AgentUnavailable(judge(error).message);
  });
  if (!answer.healthy) throw new AgentUnavailable("the agent says that it is not healthy");
}

async function* once<Message>(message: Message): AsyncGenerator<Message> {
  yield message;
}

function toStatus(
  supervisor: SupervisorStatus,
  { succeeded, failed, responseMs }: CallCounts,
  breaker: ReturnType<Breaker["state"]>,
): AgentStatus {
  const { initializationMs, recoveryMs, ...status } = supervisor;
  const total = succeeded + failed;
  return {
    ...status,
    ...(total > 0 && { successRate: succeeded / total }),
    metrics: {
      ...(initializationMs !== undefined && { initialization_time: initializationMs }),
      circuit_breaker_state: breaker,
      failure_rate: total > 0 ? failed / total : 0,
      ...(recoveryMs !== undefined && { recovery_time: recoveryMs }),
      ...(responseMs !== undefined && { response_time: Math.round(responseMs * 100) / 100 }),
    },
  };
}
