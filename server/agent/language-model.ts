import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  type ContextItemSchema,
  type PromptRequest,
  PromptRequestSchema,
  PythonAgentService,
} from "../../gen/neira/agent/agent_pb.ts";
import { throwIfAborted } from "../core/async.ts";
import { ProviderError } from "../core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../models/language-model.ts";
import type { Agent } from "./agent.ts";
import type { Caller } from "./calls.ts";

const name = "agent";

/**
 * The agent as the tier `agent`: ProcessStreamingPrompt answers a turn. It gets no screenshot, for which
 * the contract has no place. A turn does not wait for an agent that is starting and never gets a mock:
 * its next tier answers. What the agent repeats of a prefix is still in the reply.
 *
 * Errors: `connectivity` if there is no agent or it was lost, `timeout`, `protocol`, `server` if it
 * failed, `refused` or `unsupported` if it would not or cannot, `empty` if it finished without a word.
 */
export function createAgentModel(
  agent: Pick<Agent, "stream">,
  { systemPrompt }: { readonly systemPrompt: string },
): LanguageModel {
  return {
    name,
    generate: (prompt, signal) =>
      generate(agent, createRequest(prompt, systemPrompt), {
        signal,
        traceparent: prompt.traceparent,
        isUnguarded: true,
      }),
  };
}

async function* generate(
  agent: Pick<Agent, "stream">,
  request: PromptRequest,
  caller: Caller,
): AsyncGenerator<ReplyPart> {
  const { signal } = caller;
  throwIfAborted(signal);
  const { processStreamingPrompt } = PythonAgentService.method;
  let hasText = false;
  let hasFinished = false;
  try {
    for await (const step of agent.stream(processStreamingPrompt, request, caller)) {
      hasText ||= step.delta !== "";
      if (step.delta !== "") yield { type: "text", text: step.delta };
      if (step.error !== "") throw new ProviderError(name, "server", "the agent failed");
      hasFinished = step.finished;
      if (hasFinished) break;
    }
    if (!hasText && hasFinished) throw new ProviderError(name, "empty", "the agent said nothing");
  } catch (error) {
    throwIfAborted(signal);
    throw error instanceof Error && error.cause instanceof ProviderError ? error.cause : error;
  }
}

type Item = MessageInitShape<typeof ContextItemSchema>;

function createRequest(prompt: Prompt, systemPrompt: string): PromptRequest {
  return create(PromptRequestSchema, {
    prompt: prompt.text,
    parameters: prompt.sessionId === undefined ? {} : { session_id: prompt.sessionId },
    context: [
      ...item("instructions", prompt.instructions ?? systemPrompt, "system"),
      ...item("memory", prompt.memory, "memory"),
      ...item(
        "screen",
        prompt.screen && `${prompt.screen.width}x${prompt.screen.height}`,
        "screen",
      ),
      ...(prompt.history ?? []).flatMap(({ user, assistant }) => [
        ...item("user", user, "message"),
        ...item("assistant", assistant, "message"),
      ]),
      ...item("assistant", prompt.prefix, "prefix"),
    ],
  });
}

/** One item; none without a value. */
function item(key: string, value: string | undefined, type: string): readonly Item[] {
  return value ? [{ key, value, type }] : [];
}
