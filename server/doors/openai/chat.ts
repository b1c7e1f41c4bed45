import type { Context } from "hono";
import { z } from "zod";
import { signalOf } from "../../auth/caller.ts";
import type { TurnChunk } from "../../conversation/reply.ts";
import { createId } from "../../conversation/sessions.ts";
import { connectionOf, streamBody } from "../../core/http.ts";
import { type DoorParts, type NodeEnv, turnOfCaller } from "../door.ts";
import { invalidField, toOpenaiError } from "./errors.ts";
import { chatMessages, promptOf, readMessages } from "./messages.ts";
import { checkFields, type JsonReader } from "./request.ts";
import { tokensOfText } from "./usage.ts";

const MAX_BODY_BYTES = 1024 * 1024;

/** Fields that change what a reply is, and that the tiers do not have: their value, if any, must be this. */
const fixed = {
  n: [1],
  modalities: [["text"]],
  tools: [[]],
  functions: [[]],
  audio: [],
  logprobs: [false],
  stop: [[]],
  response_format: [{ type: "text" }],
} satisfies Readonly<Record<string, readonly unknown[]>>;

// Other fields steer how a reply is worded (temperature, max_tokens): the tiers keep to their settings.
const chatFields = z.looseObject({
  model: z.string().min(1).max(256),
  messages: chatMessages,
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});

type Chat = {
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly promptTokens: number;
};

/** `POST /v1/chat/completions`: the reply of the language tiers as text, streamed or whole. */
export async function complete(
  context: Context<NodeEnv>,
  {
    conversation,
    callers,
    readJson,
  }: Pick<DoorParts, "conversation" | "callers"> & { readonly readJson: JsonReader },
): Promise<Response> {
  const fields = checkFields(chatFields, await readJson(context, MAX_BODY_BYTES));
  refuseUnsupported(fields);
  const messages = readMessages(fields.messages);
  const turnId = createId();
  const caller = callers.callerOf(context.env.incoming);
  const left = new AbortController();
  let isPartial = false;
  const onPartial = () => {
    isPartial = true;
  };
  const turn = {
    turnId,
    prompt: promptOf(messages),
    verbatim: false,
    textOnly: true,
    voice: {},
    connection: connectionOf(context.env.incoming),
    ...turnOfCaller(caller),
  } as const;
  const signal = AbortSignal.any([signalOf(caller, context.req.raw.signal), left.signal]);
  const deltas = deltasOf(conversation.talk(turn, signal, { onPartial }));
  const chat = {
    id: `chatcmpl-${turnId}`,
    model: fields.model,
    created: Math.floor(Date.now() / 1000),
    promptTokens: tokensOfText(messages.map(({ text }) => text).join("\n")),
  };
  const endOf = () => (isPartial ? "length" : "stop");
  if (!fields.stream) return Response.json(wholeReply(chat, await join(deltas), endOf()));

  const first = await deltas.next();
  const hasUsage = fields.stream_options?.include_usage === true;
  const body = streamBody(toEvents(chat, { first, rest: deltas, endOf, hasUsage }), {
    onLeave: () => left.abort(),
    onFailure: () => context.env.outgoing.destroy(new Error("the turn failed")),
  });
  const type = "text/event-stream; charset=utf-8";
  return new Response(body, { headers: { "content-type": type, "cache-control": "no-store" } });
}

function refuseUnsupported(fields: Readonly<Record<string, unknown>>): void {
  for (const [name, allowed] of Object.entries(fixed)) {
    const value = fields[name];
    if (value === undefined || value === null) continue;
    const text = JSON.stringify(value);
    if (allowed.some((each) => JSON.stringify(each) === text)) continue;
    throw invalidField(name, "is not supported by this gateway; leave it out", "unsupported_value");
  }
}

async function* deltasOf(batches: AsyncGenerator<readonly TurnChunk[]>): AsyncGenerator<string> {
  for await (const batch of batches) {
    for (const chunk of batch) if (chunk.type === "text") yield chunk.text;
  }
}

async function join(deltas: AsyncGenerator<string>): Promise<string> {
  let text = "";
  for await (const delta of deltas) text += delta;
  return text;
}

function wholeReply(chat: Chat, content: string, finish_reason: string): object {
  const message = { role: "assistant", content, refusal: null };
  const choices = [{ index: 0, message, logprobs: null, finish_reason }];
  const { id, created, model } = chat;
  return { id, object: "chat.completion", created, model, choices, usage: usageOf(chat, content) };
}

function usageOf({ promptTokens: prompt_tokens }: Chat, reply: string): object {
  const completion_tokens = tokensOfText(reply);
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

type Streamed = {
  readonly first: IteratorResult<string>;
  readonly rest: AsyncGenerator<string>;
  readonly endOf: () => string;
  readonly hasUsage: boolean;
};

/** The deltas as events. One that fails midway ends with an error, which the clients throw. */
async function* toEvents(chat: Chat, streamed: Streamed): AsyncGenerator<Uint8Array> {
  const { first, rest, endOf, hasUsage } = streamed;
  const { id, created, model } = chat;
  const chunk = (choices: readonly object[], usage: object | null = null) =>
    event({
      id,
      object: "chat.completion.chunk",
      created,
      model,
      choices,
      ...(hasUsage && { usage }),
    });
  const delta = (fields: object, finish_reason: string | null = null) =>
    chunk([{ index: 0, delta: fields, logprobs: null, finish_reason }]);
  let text = "";
  yield delta({ role: "assistant", content: "" });
  try {
    for (let step = first; !step.done; step = await rest.next()) {
      text += step.value;
      yield delta({ content: step.value });
    }
  } catch (error) {
    yield event({ error: toOpenaiError(error).error });
    return;
  }
  yield delta({}, endOf());
  if (hasUsage) yield chunk([], usageOf(chat, text));
  yield Buffer.from("data: [DONE]\n\n");
}

function event(data: object): Uint8Array {
  return Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
}
