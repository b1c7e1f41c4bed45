import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";
import { type OpenaiReply, playOpenaiFault, writeOpenaiEvent } from "./openai-faults.ts";
import type { Emulator, EmulatorScript } from "./script.ts";

/** A message as it came: a role, and text or parts of several kinds. */
type OpenaiMessage = {
  readonly role: string;
  readonly content:
    | string
    | readonly { readonly type: string; readonly text?: string; readonly image_url?: unknown }[];
};

/** A request for a reply. */
type OpenaiRequest = {
  /** What followed "Bearer". */
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
  /** Connections that were made to it. */
  connections(): number;
};

const defaultDeltas = ["This ", "is ", "the ", "emulated ", "model."];

/**
 * Starts a server on loopback that answers as an OpenAI-compatible one does: chat completions,
 * streamed as server-sent events, and the list of models.
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
    // A client that leaves while its request is read or answered ends the answer, nothing more.
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

/** Waits, or stops waiting when the client leaves. */
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
