import { ProviderError } from "../../core/errors.ts";
import type { CallFacts } from "../../core/outcomes.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../models/language-model.ts";
import { withoutRepeat } from "../continuation.ts";
import { createGeminiClient, type GeminiAccess, type GeminiChunk } from "./client.ts";
import { historyContents, instructionOf, promptContents } from "./prompt.ts";

/** Options of the `gemini` tier. */
export type GeminiOptions = GeminiAccess & {
  /** `gemini-3.8-flash` */
  readonly model: string;
  /** How the assistant should behave. */
  readonly systemPrompt?: string | undefined;
  /** Whether the model may search the web; false if absent. */
  readonly search?: boolean | undefined;
};

const name = "gemini";
/** Finish reasons of a complete reply, though it may be short. */
const completeReasons = new Set([
  "STOP",
  "MAX_TOKENS",
  "CONTINUATION",
  "FINISH_REASON_UNSPECIFIED",
]);
/** Finish reasons of the vendor's policy. Another tier may have another policy. */
const policyReasons = new Set([
  "SAFETY",
  "RECITATION",
  "LANGUAGE",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
]);

/**
 * A Google model that answers in text: one streamed HTTP request for each turn, without retries and
 * without state between turns. A screenshot is sent unchanged: JPEG, PNG and WebP are documented.
 *
 * Errors: as the vendor reports them; `unsupported` if its policy stops a reply; `protocol` if a
 * response is malformed, empty, or ends without a finish reason.
 */
export function createGeminiModel(options: GeminiOptions): LanguageModel {
  const client = createGeminiClient(name, options);
  return {
    name,
    prepare: (_context, signal) => client.warm(signal),
    generate(prompt: Prompt, signal: AbortSignal) {
      const chunks = client.stream(
        {
          model: options.model,
          contents: [...historyContents(prompt.history), ...promptContents(prompt)],
          instruction: instructionOf(prompt.instructions ?? options.systemPrompt),
          search: options.search,
        },
        signal,
      );
      return withoutRepeat(readReply(chunks, prompt.onFacts), prompt.prefix);
    },
  };
}

async function* readReply(
  chunks: AsyncIterable<GeminiChunk>,
  onFacts: Prompt["onFacts"],
): AsyncGenerator<ReplyPart> {
  let finish: string | undefined;
  let usage: GeminiChunk["usageMetadata"];
  let hasText = false;
  for await (const chunk of chunks) {
    const text = textOf(chunk);
    if (text !== "") {
      hasText = true;
      yield { type: "text", text };
    }
    finish = chunk.promptFeedback?.blockReason
      ? "PROHIBITED_CONTENT"
      : (chunk.candidates?.[0]?.finishReason ?? finish);
    usage = chunk.usageMetadata ?? usage;
  }
  onFacts?.(factsOf(finish, usage));
  checkEnd(finish, hasText);
}

function factsOf(finishReason: string | undefined, usage: GeminiChunk["usageMetadata"]): CallFacts {
  const { promptTokenCount: inputTokens, candidatesTokenCount: outputTokens } = usage ?? {};
  return {
    ...(finishReason !== undefined && { finishReason }),
    ...(inputTokens !== undefined && { inputTokens }),
    ...(outputTokens !== undefined && { outputTokens }),
  };
}

function checkEnd(finish: string | undefined, hasText: boolean): void {
  if (finish === undefined) {
    throw new ProviderError(name, "protocol", "the response ended too early");
  }
  if (policyReasons.has(finish)) {
    throw new ProviderError(name, "withheld", `the reply was withheld (${finish})`);
  }
  if (!completeReasons.has(finish)) {
    throw new ProviderError(name, "server", "the model failed");
  }
  if (!hasText) throw new ProviderError(name, "protocol", "the response is empty");
}

/** The SDK's own getter writes a warning to the console for parts that are not text. */
function textOf(chunk: GeminiChunk): string {
  const parts = chunk.candidates?.[0]?.content?.parts ?? [];
  return parts.map(({ text, thought }) => (thought ? "" : (text ?? ""))).join("");
}
