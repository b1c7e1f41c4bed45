import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { ProviderError } from "../../core/errors.ts";
import type { ChatMessage } from "./messages.ts";

/** Which chat model, and how it is reached. */
export type ChatModelOptions = {
  /** `google:NAME` or `openai:NAME`. */
  readonly model: string;
  readonly googleApiKey?: string;
  /** Where Gemini's API begins, without its version; Google's own if absent. */
  readonly googleEndpoint?: string;
  /** Servers of one's own often want none. */
  readonly openaiApiKey?: string;
  /** Where the API begins, its version included; OpenAI's own if absent. */
  readonly openaiBaseUrl?: string;
};

/** Why a provider's policy ends a reply: another model may have another policy. */
const policyReasons = new Set<unknown>([
  "content_filter",
  "SAFETY",
  "RECITATION",
  "LANGUAGE",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
]);

/** A chat model: yields the deltas of a reply, never an empty one. Throws what its SDK throws. */
export type ChatModel = {
  stream(messages: readonly ChatMessage[], signal: AbortSignal): AsyncIterable<string>;
};

// Named even where they are the defaults: else variables of the environment could change them.
const openaiUrl = "https://api.openai.com/v1";
const googleUrl = "https://generativelanguage.googleapis.com";

/** Imports an optional package. */
type ImportPackage = <Package>(load: () => Promise<Package>) => Promise<Package>;

/**
 * Loads the package of a chat model and creates the model; nothing is sent. Throws an Error if
 * `model` names no known kind, or if the package is missing. `importPackage` is for tests.
 */
export async function loadChatModel(
  options: ChatModelOptions,
  importPackage: ImportPackage = (load) => load(),
): Promise<ChatModel> {
  const [, kind, name] = /^(google|openai):(.+)$/.exec(options.model) ?? [];
  if (!name) throw new Error(`a chat model is google:NAME or openai:NAME, not ${options.model}`);
  const create = kind === "google" ? createGoogle : createOpenai;
  const runnable = await create(name, options, importPackage).catch((error) =>
    explainMissing(`@langchain/${kind}`, error),
  );
  return { stream: (messages, signal) => streamText(runnable, messages, signal) };
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
    // Not every compatible server knows the option that asks for it.
    streamUsage: false,
    // It would write what it cannot read to the console.
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
  signal: AbortSignal,
): AsyncGenerator<string> {
  const plain = messages.map(({ role, content }) => ({
    role,
    content: typeof content === "string" ? content : [...content],
  }));
  let finish: unknown;
  for await (const chunk of await runnable.stream(plain, { signal })) {
    const { finish_reason, finishReason } = chunk.response_metadata ?? {};
    // What @langchain/google cannot read it takes for an end; Gemini's own reasons are upper-case.
    if (finishReason === "stop") throw unreadable("an event of the reply is unreadable");
    finish = finish_reason ?? finishReason ?? finish;
    if (chunk.text !== "") yield chunk.text;
  }
  // It also passes over errors that come as events; then the end has no reason.
  if (!finish) throw unreadable("the reply ended before its end");
  if (policyReasons.has(finish)) {
    throw new ProviderError("langchain", "unsupported", `the reply was withheld (${finish})`);
  }
}

function unreadable(message: string): ProviderError {
  return new ProviderError("langchain", "protocol", message);
}

/** Says how to install the optional package, if that is what is wrong. */
function explainMissing(name: string, error: unknown): never {
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code !== "ERR_MODULE_NOT_FOUND") throw error;
  const line = `npm i ${name} @langchain/core`;
  throw new Error(`the package ${name} is not installed; install it: ${line}`, { cause: error });
}
