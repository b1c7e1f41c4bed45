import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { PythonAgentService } from "../../gen/neira/agent/agent_pb.ts";
import { abortable, onAbort } from "../core/async.ts";
import type { Breaker } from "../failover/breaker.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createAgentLink } from "./agent-link.ts";
import type { AgentConnection, RunOptions } from "./agent-run.ts";
import type { AgentSocket } from "./agent-socket.ts";
import type { SupervisorStatus } from "./agent-status.ts";
import { judge, tooLate, unavailable } from "./call-errors.ts";
import { type Call, type CallCounts, type Caller, createCalls } from "./calls.ts";
import { createSupervisor, type SupervisorTimes, supervisorTimes } from "./supervisor.ts";
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
  let transport: Transport | undefined;

  const connect = (socket: AgentSocket): AgentConnection => {
    const link = createAgentLink(socket, options.maxMessageBytes);
    return {
      check: (signal) => checkHealth(link.transport, times.healthTimeoutMs, signal),
      open() {
        calls.reset();
        transport = link.transport;
      },
      close() {
        transport = undefined;
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
    if (transport) return undefined;
    const { state, reason = `it is ${state}` } = supervisor.status();
    return reason;
  };
  const begin: Begin = (method, caller) => {
    if (transport) return { transport, call: calls.begin(method, caller) };
    throw unavailable(`${method.parent.typeName}/${method.name}`, `no agent: ${absence()}`);
  };
  return {
    start: supervisor.start,
    stop: supervisor.stop,
    breaker: calls.breaker,
    async absence(signal) {
      if (!transport) await abortable(supervisor.settled(), signal);
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
type Begin = (method: DescMethod, caller: Caller) => { transport: Transport; call: Call };

type Request<Method, I extends DescMessage> = {
  readonly method: Method;
  readonly message: MessageShape<I>;
  readonly caller: Caller;
};

async function callUnary<I extends DescMessage, O extends DescMessage>(
  begin: Begin,
  { method, message, caller }: Request<DescMethodUnary<I, O>, I>,
): Promise<MessageShape<O>> {
  const { transport, call } = begin(method, caller);
  const { timeoutMs } = call;
  try {
    const init = message as MessageInitShape<I>;
    const answer = await transport.unary(method, caller.signal, timeoutMs, undefined, init);
    call.succeed();
    return answer.message;
  } catch (error) {
    throw call.fail(error);
  }
}

async function* callStream<I extends DescMessage, O extends DescMessage>(
  begin: Begin,
  { method, message, caller }: Request<DescMethodStreaming<I, O>, I>,
): AsyncGenerator<MessageShape<O>> {
  const { transport, call } = begin(method, caller);
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
    const deadline = { "grpc-timeout": `${Math.ceil(call.timeoutMs)}m` };
    const opened = await transport.stream(method, rpc.signal, undefined, deadline, init);
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
  transport: Transport,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const method = PythonAgentService.method.healthCheck;
  const request = { service: "python-agent" };
  const answer = await transport
    .unary(method, signal, timeoutMs, undefined, request)
    .catch((error) => {
      signal.throwIfAborted();
      throw new AgentUnavailable(judge(error).message);
    });
  if (!answer.message.healthy) throw new AgentUnavailable("the agent says that it is not healthy");
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
