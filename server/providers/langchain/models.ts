import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { ProviderError } from "../../core/errors.ts";
import type { CallFacts } from "../../core/outcomes.ts";
import type { ChatMessage } from "./messages.ts";

/** Options of a chat model. */
export type ChatModelOptions = {
  /** `google:NAME` or `openai:NAME`. */
  readonly model: string;
  readonly googleApiKey?: string;
  /** Gemini's API without the version; Google's if absent. */
  readonly googleEndpoint?: string;
  /** Self-hosted servers often need none. */
  readonly openaiApiKey?: string;
  /** The API including the version; OpenAI's if absent. */
  readonly openaiBaseUrl?: string;
};

/** Finish reasons of a provider's policy. Another tier may have another policy. */
const policyReasons = new Set<unknown>([
  "content_filter",
  "SAFETY",
  "RECITATION",
  "LANGUAGE",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
]);

/** A chat model. Yields the deltas of a reply, never an empty one. Throws what its SDK throws. */
export type ChatModel = {
  stream(
    messages: readonly ChatMessage[],
    signal: AbortSignal,
    onFacts?: (facts: CallFacts) => void,
  ): AsyncIterable<string>;
};

// Always passed, even if default: environment variables could change them otherwise.
const openaiUrl = "https://api.openai.com/v1";
const googleUrl = "https://generativelanguage.googleapis.com";

/** Imports an optional package. */
type ImportPackage = <Package>(load: () => Promise<Package>) => Promise<Package>;

/**
 * Loads the package of a chat model and creates the model. Sends nothing. Throws an Error if `model`
 * is invalid or the package is missing. `importPackage` is for tests.
 */
export async function loadChatModel(
  options: ChatModelOptions,
  importPackage: ImportPackage = (load) => load(),
): Promise<ChatModel> {
  const [, kind, name] = /^(google|openai):(.+)$/.exec(options.model) ?? [];
  if (!name)
    throw new Error(`a chat model must be google:NAME or openai:NAME, not ${options.model}`);
  const create = kind === "google" ? createGoogle : createOpenai;
  const runnable = await create(name, options, importPackage).catch((error) =>
    explainMissing(`@langchain/${kind}`, error),
  );
  return {
    stream: (messages, signal, onFacts) => streamText(runnable, messages, { signal, onFacts }),
  };
}

async function createOpenai(
  name: string,
  options: ChatModelOptions,
  importPackage: ImportPackage,
): Promise<BaseChatModel> {
  const { ChatOpenAI } = await importPackage(() => import("@langchain/openai"));
  return new ChatOpenAI({
    model: name,
    apiKey: options.openaiApiKey ?? "none",
    maxRetries: 0,
    verbose: false,
    // Not every compatible server knows this option.
    streamUsage: false,
    // It would log malformed responses to the console.
    configuration: { baseURL: options.openaiBaseUrl ?? openaiUrl, logLevel: "off" },
  });
}

async function createGoogle(
  name: string,
  options: ChatModelOptions,
  importPackage: ImportPackage,
): Promise<BaseChatModel> {
  const { ChatGoogle } = await importPackage(() => import("@langchain/google"));
  return new ChatGoogle({
    model: name,
    apiKey: options.googleApiKey ?? "none",
    platformType: "gai",
    endpoint: options.googleEndpoint ?? googleUrl,
    maxRetries: 0,
    verbose: false,
    streamUsage: false,
  });
}

async function* streamText(
  runnable: BaseChatModel,
  messages: readonly ChatMessage[],
  { signal, onFacts }: { signal: AbortSignal; onFacts?: ((facts: CallFacts) => void) | undefined },
): AsyncGenerator<string> {
  const plain = messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : [...content],
  }));
  let finish: unknown;
  let usage: { input_tokens: number; output_tokens: number } | undefined;
  for await (const chunk of await runnable.stream(plain, { signal })) {
    const { finish_reason, finishReason } = chunk.response_metadata ?? {};
    // @langchain/google reports a malformed event as "stop"; Gemini's own reasons are upper-case.
    if (finishReason === "stop") throw malformed("an event of the reply is malformed");
    finish = finish_reason ?? finishReason ?? finish;
    usage = chunk.usage_metadata ?? usage;
    if (chunk.text !== "") yield chunk.text;
  }
  onFacts?.({
    ...(typeof finish === "string" && { finishReason: finish }),
    ...(usage && { inputTokens: usage.input_tokens, outputTokens: usage.output_tokens }),
  });
  // It also skips errors that come as events; the end then has no reason.
  if (!finish) throw malformed("the response ended too early");
  if (policyReasons.has(finish)) {
    throw new ProviderError("langchain", "withheld", `the reply was withheld (${finish})`);
  }
}

function malformed(message: string): ProviderError {
  return new ProviderError("langchain", "protocol", message);
}

/** Says how to install the optional package if it is missing. */
function explainMissing(name: string, error: unknown): never {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code !== "ERR_MODULE_NOT_FOUND") throw error;
  const line = `npm i ${name} @langchain/core`;
  throw new Error(`the package ${name} is not installed; install it: ${line}`, { cause: error });
}
