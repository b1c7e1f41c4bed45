import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import { ProviderError } from "../../core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../models/language-model.ts";
import { withoutRepeat } from "../continuation.ts";
import { langchainFault } from "./errors.ts";
import { createMessages } from "./messages.ts";
import { type ChatModel, type ChatModelOptions, loadChatModel } from "./models.ts";

/** What a LangChain language model is created with. */
export type LangchainOptions = ChatModelOptions & {
  /** What the model is to be: its role, its tone, the length of its answers. */
  readonly systemPrompt?: string;
};

/**
 * A text tier on a chat model of LangChain: `google:NAME` by `@langchain/google`, `openai:NAME` by
 * `@langchain/openai`, which Ollama and every server with the same API understand as well.
 *
 * The packages are optional: `start` loads the one that is needed, and throws an Error that says
 * how to install it when it is missing. It tries each request once.
 */
export function createLangchainModel(options: LangchainOptions): LanguageModel {
  let model: ChatModel | undefined;
  return {
    name: "langchain",
    async start(signal) {
      model = await abortable(loadChatModel(options), signal);
    },
    generate(prompt, signal) {
      if (!model) throw new ProviderError("langchain", "server", "it was not started");
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
  // The SDKs never let go of a signal's listeners: they get one that ends with the call.
  const call = new AbortController();
  const forget = onAbort(signal, () => call.abort());
  try {
    const deltas = model.stream(createMessages(prompt, systemPrompt), call.signal);
    yield* withoutRepeat(pull(deltas, signal), prompt.prefix);
    throwIfAborted(signal);
  } catch (error) {
    throwIfAborted(signal);
    throw langchainFault(error, { withImage: prompt.screenshot !== undefined });
  } finally {
    forget();
    call.abort();
  }
}

/** The deltas as parts. The signal is heard at once, and nobody waits for a slow goodbye. */
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
