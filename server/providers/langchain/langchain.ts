import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../models/language-model.ts";
import { withoutRepeat } from "../continuation.ts";
import { langchainError } from "./errors.ts";
import { createMessages } from "./messages.ts";
import { type ChatModel, type ChatModelOptions, loadChatModel } from "./models.ts";

/** Options of the `langchain` tier. */
export type LangchainOptions = ChatModelOptions & {
  /** How the assistant should behave. */
  readonly systemPrompt?: string;
};

/**
 * A LangChain chat model: `google:NAME` through `@langchain/google`, or `openai:NAME` through
 * `@langchain/openai`, for OpenAI, Ollama and every server with the same API. Requests are not
 * retried.
 *
 * The packages are optional. `start` loads the one that is needed; if it is missing, `start` throws
 * an Error that says how to install it.
 */
export function createLangchainModel(options: LangchainOptions): LanguageModel {
  let model: ChatModel | undefined;
  return {
    name: "langchain",
    async start(signal) {
      model = await abortable(loadChatModel(options), signal);
    },
    generate(prompt, signal) {
      if (!model) throw new ProviderError("langchain", "server", "not started");
      return generate({ model, systemPrompt: options.systemPrompt, prompt }, signal);
    },
  };
}

type Request = {
  readonly model: ChatModel;
  readonly systemPrompt: string | undefined;
  readonly prompt: Prompt;
};

async function* generate(request: Request, signal: AbortSignal): AsyncGenerator<ReplyPart> {
  const { model, systemPrompt, prompt } = request;
  throwIfAborted(signal);
  // The SDKs leak listeners on their signal, so they get one that ends with the call.
  const call = new AbortController();
  const removeListener = onAbort(signal, () => call.abort());
  try {
    const messages = createMessages(prompt, systemPrompt);
    const deltas = model.stream(messages, call.signal, prompt.onFacts);
    yield* withoutRepeat(pull(deltas, signal), prompt.prefix);
    throwIfAborted(signal);
  } catch (error) {
    throwIfAborted(signal);
    throw langchainError(error, { withImage: prompt.screenshot !== undefined });
  } finally {
    removeListener();
    call.abort();
  }
}

/** The deltas as parts. Reacts to the signal at once, without waiting for a slow `return`. */
async function* pull(
  deltas: AsyncIterable<string>,
  signal: AbortSignal,
): AsyncGenerator<ReplyPart> {
  const iterator = deltas[Symbol.asyncIterator]();
  try {
    for (;;) {
      throwIfAborted(signal);
      const read = await abortable(iterator.next(), signal);
      if (read.done) return;
      yield { type: "text", text: read.value };
    }
  } finally {
    iterator.return?.()?.catch(() => undefined);
  }
}
