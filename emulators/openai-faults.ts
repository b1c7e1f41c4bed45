import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import type { EmulatorScript } from "./script.ts";

/** One reply on its way. */
export type OpenaiReply = {
  readonly script: EmulatorScript;
  readonly key: string;
  readonly model: string;
  readonly response: ServerResponse;
};

/** Writes one event of a streamed reply; the first one begins the answer. */
export async function writeOpenaiEvent(
  reply: OpenaiReply,
  delta: { readonly role?: string; readonly content?: string },
  finishReason: string | null = null,
): Promise<void> {
  await write(reply, `data: ${JSON.stringify(eventOf(reply, delta, finishReason))}\n\n`);
}

/** Does what the script's fault says, from here on. */
export async function playOpenaiFault(reply: OpenaiReply): Promise<void> {
  const { script, key, response } = reply;
  const { kind, retryAfterSeconds = 1 } = script.fault ?? { kind: "hang" };
  switch (kind) {
    case "refuse":
      return void response.destroy();
    case "unauthorized":
      return fail(reply, 401, {
        message: `Incorrect API key provided: ${key}. You can find your key in your account.`,
        code: "invalid_api_key",
      });
    case "forbidden":
      return fail(reply, 403, {
        message: `The project of ${key} has no access to the model.`,
        code: "model_not_found",
      });
    case "rate-limit":
      if (!response.headersSent) response.setHeader("retry-after", retryAfterSeconds);
      return fail(reply, 429, { message: "Rate limit reached.", code: "rate_limit_exceeded" });
    case "quota":
      return fail(reply, 429, {
        message: "You exceeded your current quota, please check your plan and billing details.",
        code: "insufficient_quota",
      });
    case "html-500":
      response.writeHead(500, { "content-type": "text/html" });
      return void response.end(`<html><body><h1>Bad gateway</h1>${key}</body></html>`);
    case "cut": {
      const event = JSON.stringify(eventOf(reply, { content: "never whole" }, null));
      await write(reply, `data: ${event.slice(0, event.length / 2)}`);
      return void response.destroy();
    }
    case "malformed":
      await write(reply, `data: {"id":"emulated","choices":[{"delta":{"content":"bro\n\n`);
      return void response.end("data: [DONE]\n\n");
    case "empty":
      await writeOpenaiEvent(reply, { role: "assistant", content: "" }, "stop");
      return void response.end("data: [DONE]\n\n");
    default:
      // A hang; sound at a wrong rate is nothing that a text provider could send.
      return;
  }
}

function eventOf(
  { model }: OpenaiReply,
  delta: { readonly role?: string; readonly content?: string },
  finishReason: string | null,
): object {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
  return { id: "emulated", object: "chat.completion.chunk", created: 0, model, choices };
}

type Problem = { readonly message: string; readonly code: string };

/** An error as a status, or as an event once the answer has begun. */
async function fail(reply: OpenaiReply, status: number, problem: Problem): Promise<void> {
  const { response } = reply;
  const body = JSON.stringify({
    error: { ...problem, type: "invalid_request_error", param: null },
  });
  if (response.headersSent) {
    await write(reply, `data: ${body}\n\n`);
    return void response.end();
  }
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body);
}

async function write({ script, response }: OpenaiReply, event: string): Promise<void> {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  const bytes = Buffer.from(event);
  const step = script.fault?.kind === "drip" ? 1 : bytes.length;
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    response.write(bytes.subarray(at, at + step));
    if (step === 1) await setImmediate();
  }
}
