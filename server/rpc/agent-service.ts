import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  type PromptResponseSchema,
  type PromptStreamResponseSchema,
  PythonAgentService,
} from "../../gen/neira/agent/agent_pb.ts";
import type { Agent } from "../agent/agent.ts";
import { refused } from "../agent/call-errors.ts";
import type { Caller } from "../agent/calls.ts";
import { currentRequest } from "../telemetry/requests.ts";
import { callSignal } from "./caller.ts";
import { type HoldStream, holdStream } from "./connection-key.ts";
import { type CallContext, callFlowKey, type EitherWay } from "./unary-wire.ts";

/** The parts of the agent's service. */
export type AgentServiceOptions = {
  readonly agent: Pick<Agent, "absence" | "unary" | "stream">;
  /** Methods that act on the host and may be called. */
  readonly allow: readonly string[];
  /** Counts a call until the returned function is called. Throws `LimitExceeded`. */
  readonly holdStream: HoldStream;
};

const methods = PythonAgentService.method;

/** Methods that are open to every client: none acts on the host by itself. */
const openMethods: ReadonlySet<string> = new Set([
  methods.healthCheck.name,
  methods.processPrompt.name,
  methods.processStreamingPrompt.name,
  methods.setContext.name,
  methods.getContext.name,
  methods.callCustomFunction.name,
]);

/**
 * The service of proto/neira/agent: passes calls through to the agent. While there is none, prompts get
 * a mock, HealthCheck says why, and the rest is UNAVAILABLE.
 */
export function createAgentService(
  options: AgentServiceOptions,
): EitherWay<typeof PythonAgentService> {
  const { agent } = options;

  /** Passes a unary call through. */
  const pass =
    <I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>) =>
    async (request: MessageShape<I>, context: CallContext): Promise<MessageShape<O>> => {
      admit(method.name, context, options);
      await agent.absence(context.signal);
      return await agent.unary(method, request, callerOf(context));
    };
  return {
    async healthCheck(request, context) {
      const { healthCheck } = methods;
      admit(healthCheck.name, context, options);
      const absence = await agent.absence(context.signal);
      if (absence !== undefined) return { healthy: false, message: absence };
      return await agent.unary(healthCheck, request, { ...callerOf(context), isUnguarded: true });
    },
    async processPrompt(request, context) {
      admit(methods.processPrompt.name, context, options);
      const absence = await agent.absence(context.signal);
      if (absence !== undefined) return mockReply(absence);
      return await agent.unary(methods.processPrompt, request, callerOf(context));
    },
    async *processStreamingPrompt(request, context) {
      admit(methods.processStreamingPrompt.name, context, options);
      const absence = await agent.absence(context.signal);
      if (absence !== undefined) yield* mockSteps(absence);
      else yield* agent.stream(methods.processStreamingPrompt, request, callerOf(context));
    },
    setContext: pass(methods.setContext),
    getContext: pass(methods.getContext),
    processFile: pass(methods.processFile),
    listFiles: pass(methods.listFiles),
    callCustomFunction: pass(methods.callCustomFunction),
    desktopClick: pass(methods.desktopClick),
    desktopType: pass(methods.desktopType),
    browserNavigate: pass(methods.browserNavigate),
    browserClick: pass(methods.browserClick),
    browserGetHTML: pass(methods.browserGetHTML),
  };
}

/**
 * Throws unless the method may be called and there is room for the call. The gate has checked the rights
 * of the caller's token; what the operator does not allow, no token does.
 */
function admit(
  name: string,
  context: CallContext,
  { allow, holdStream: hold }: AgentServiceOptions,
): void {
  if (!openMethods.has(name) && !allow.includes(name)) {
    throw refused(
      `${PythonAgentService.typeName}/${name}`,
      `${name} acts on the gateway's machine and is not allowed; AGENT_ALLOW can name it`,
    );
  }
  holdStream(context, hold);
}

function callerOf(context: CallContext): Caller {
  const flow = context.values.get(callFlowKey);
  const traceparent = currentRequest()?.trace?.traceparent;
  return { signal: callSignal(context), timeoutMs: context.timeoutMs(), flow, traceparent };
}

const mockMetadata = { mode: "mock" };

function mockText(absence: string): string {
  return `This is a mock reply, because there is no agent: ${absence}.`;
}

function mockReply(absence: string): MessageInitShape<typeof PromptResponseSchema> {
  return { response: mockText(absence), success: true, metadata: mockMetadata };
}

function mockSteps(
  absence: string,
): readonly MessageInitShape<typeof PromptStreamResponseSchema>[] {
  return [
    { delta: mockText(absence), metadata: mockMetadata },
    { finished: true, metadata: mockMetadata },
  ];
}
