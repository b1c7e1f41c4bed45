import { ProviderError } from "../../core/errors.ts";
import type { LanguageModel, Prompt, ReplyPart } from "../../models/language-model.ts";
import { withoutRepeat } from "../continuation.ts";
import { createGeminiClient, type GeminiAccess, type GeminiChunk } from "./client.ts";
import { historyContents, instructionOf, promptContents } from "./prompt.ts";

/** What the `gemini` tier is made of. */
export type GeminiOptions = GeminiAccess & {
  /** `gemini-3.8-flash` */
  readonly model: string;
  /** How the assistant is to behave. */
  readonly systemPrompt?: string | undefined;
  /** Whether the model may search the web; false if absent. */
  readonly search?: boolean | undefined;
};

const name = "gemini";
/** Reasons to stop that leave a whole reply, if a short one. */
const wholeReasons = new Set(["STOP", "MAX_TOKENS", "CONTINUATION", "FINISH_REASON_UNSPECIFIED"]);
/** Reasons of the vendor's policy: another model may have another. */
const policyReasons = new Set([
  "SAFETY",
  "RECITATION",
  "LANGUAGE",
  "BLOCKLIST",
  "PROHIBITED_CONTENT",
  "SPII",
]);

/**
 * A model of Google's that answers in text, over a streamed HTTP answer a turn. Nothing is retried
 * and nothing is kept between turns. A screenshot goes as it came: JPEG, PNG and WebP are documented.
 *
 * Faults: as the vendor tells them; "unsupported" if its policy stops a reply; "protocol" if an
 * answer cannot be read, is empty, or ends before the model said that it was done.
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
          instruction: instructionOf(options.systemPrompt, prompt.memory),
          search: options.search,
        },
        signal,
      );
      return withoutRepeat(readReply(chunks), prompt.prefix);
    },
  };
}

async function* readReply(chunks: AsyncIterable<GeminiChunk>): AsyncGenerator<ReplyPart> {
  let finish: string | undefined;
  let spoke = false;
  for await (const chunk of chunks) {
    const text = textOf(chunk);
    if (text !== "") {
      spoke = true;
      yield { type: "text", text };
    }
    finish = chunk.promptFeedback?.blockReason
      ? "PROHIBITED_CONTENT"
      : (chunk.candidates?.[0]?.finishReason ?? finish);
  }
  checkEnd(finish, spoke);
}

function checkEnd(finish: string | undefined, spoke: boolean): void {
  if (finish === undefined) {
    throw new ProviderError(name, "protocol", "the answer ended before the reply did");
  }
  if (policyReasons.has(finish)) {
    throw new ProviderError(name, "unsupported", `the reply was withheld (${finish})`);
  }
  if (!wholeReasons.has(finish)) {
    throw new ProviderError(name, "server", "the model failed");
  }
  if (!spoke) throw new ProviderError(name, "protocol", "the answer is empty");
}

/** Not the SDK's own getter: that one writes to the console about parts that are no text. */
function textOf(chunk: GeminiChunk): string {
  const parts = chunk.candidates?.[0]?.content?.parts ?? [];
  return parts.map(({ text, thought }) => (thought ? "" : (text ?? ""))).join("");
}
