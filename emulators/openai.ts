import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { Emulator, EmulatorScript } from "./script.ts";

/** A message: a role, and text or parts. */
type OpenaiMessage = {
  readonly role: string;
  readonly content:
    | string
    | readonly { readonly type: string; readonly text?: string; readonly image_url?: unknown }[];
};

/** A request for a reply. */
type OpenaiRequest = {
  /** The bearer token. */
  readonly key: string;
  readonly body: {
    readonly model: string;
    readonly stream?: boolean;
    readonly messages: readonly OpenaiMessage[];
    readonly [name: string]: unknown;
  };
};

/** The emulated server; its API begins at `${url}/v1`. */
export type OpenaiEmulator = Emulator<OpenaiRequest> & {
  /** Connections so far. */
  connections(): number;
};

const defaultDeltas = ["This ", "is ", "the ", "emulated ", "model."];

/**
 * Starts an OpenAI-compatible server on loopback: chat completions, streamed as server-sent events,
 * and the list of models.
 */
export async function startOpenaiEmulator(): Promise<OpenaiEmulator> {
  const requests: OpenaiRequest[] = [];
  let script: EmulatorScript = {};
  let active = 0;
  let connections = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.method === "GET" && request.url === "/v1/models") return sendModels(response);
    if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
      return void response.writeHead(404).end();
    }
    const key = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    const asked: OpenaiRequest = { key, body: JSON.parse(await text(request)) };
    requests.push(asked);
    await playReply({ script, key, model: asked.body.model, response });
  };

  const server = createServer((request, response) => {
    active += 1;
    response.once("close", () => {
      active -= 1;
    });
    response.on("error", () => undefined);
    // A client that disconnects ends its response, nothing more.
    answer(request, response).catch(() => response.destroy());
  });
  server.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    play: (next) => {
      script = next;
    },
    active: () => active,
    connections: () => connections,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function playReply(reply: OpenaiReply): Promise<void> {
  const { script, response } = reply;
  const deltas = script.deltas ?? defaultDeltas;
  const { afterParts = 0, kind } = script.fault ?? {};
  await pause(script.firstPartMs, response);
  for (const [at, delta] of deltas.entries()) {
    if (at > 0) await pause(script.partMs, response);
    if (kind && kind !== "drip" && at >= afterParts) break;
    if (response.destroyed) return;
    await writeOpenaiEvent(reply, { content: delta, ...(at === 0 && { role: "assistant" }) });
  }
  if (kind && kind !== "drip") return playOpenaiFault(reply);
  await writeOpenaiEvent(reply, {}, "stop");
  response.end("data: [DONE]\n\n");
}

/** Waits until the time has passed or the client disconnects. */
async function pause(waitMs: number | undefined, response: ServerResponse): Promise<void> {
  if (!waitMs) return;
  const left = new AbortController();
  const leave = () => left.abort();
  response.once("close", leave);
  try {
    await setTimeout(waitMs, undefined, { signal: left.signal });
  } finally {
    response.off("close", leave);
  }
}

function sendModels(response: ServerResponse): void {
  const data = [{ id: "emulated", object: "model", created: 0, owned_by: "parley" }];
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ object: "list", data }));
}

/** A reply in progress. */
type OpenaiReply = {
  readonly script: EmulatorScript;
  readonly key: string;
  readonly model: string;
  readonly response: ServerResponse;
};

/** Writes one event of a streamed reply. The first one begins the response. */
async function writeOpenaiEvent(
  reply: OpenaiReply,
  delta: { readonly role?: string; readonly content?: string },
  finishReason: string | null = null,
): Promise<void> {
  await write(reply, `data: ${JSON.stringify(eventOf(reply, delta, finishReason))}\n\n`);
}

/** Plays the script's fault. */
async function playOpenaiFault(reply: OpenaiReply): Promise<void> {
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
      // `hang`. `wrong-rate` has no meaning for a text provider.
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

/** Sends an error: a status, or an event if the response has begun. */
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
