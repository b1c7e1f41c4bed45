import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as readText } from "node:stream/consumers";
import { errorJson, geminiRefusal, type Refusal } from "./gemini-errors.ts";
import { drip, type Emulator, type EmulatorScript, type Fault, paced, rest } from "./script.ts";

/** A request to the streaming service. */
type GeminiRequest = {
  readonly apiKey: string | undefined;
  readonly model: string;
  /** The JSON body. */
  readonly body: GeminiBody;
};

/** The fields of a request that tests read. */
type GeminiBody = {
  readonly contents?: readonly GeminiMessage[];
  readonly systemInstruction?: GeminiMessage;
  readonly tools?: readonly object[];
};

/** A message of a request. */
export type GeminiMessage = {
  readonly role?: string;
  readonly parts?: readonly {
    readonly text?: string;
    readonly inlineData?: { readonly mimeType: string; readonly data: string };
  }[];
};

/** A request for vectors. */
type EmbedRequest = {
  readonly model: string;
  readonly texts: readonly string[];
  readonly taskType: string | undefined;
};

/** An emulated streaming service. */
export type GeminiEmulator = Emulator<GeminiRequest> & {
  /** Requests for vectors. Texts with the same words get near vectors. */
  readonly embeddings: readonly EmbedRequest[];
  /** Sets the script for requests of one model, whatever `play` says. */
  playModel(model: string, script: EmulatorScript): void;
  /** Answers the next requests with exactly these events. */
  playEvents(events: readonly object[]): void;
};

const route = /^\/v1beta\/models\/([^/:]+):streamGenerateContent$/;
const embedRoute = /^\/v1beta\/models\/([^/:]+):batchEmbedContents$/;

/**
 * Starts Google's streaming HTTP service on loopback: POST
 * `/v1beta/models/MODEL:streamGenerateContent?alt=sse`, server-sent events, any key. A fault after
 * some parts that has no other form comes as an error event in the stream. `:batchEmbedContents` embeds.
 */
export async function startGeminiEmulator(): Promise<GeminiEmulator> {
  const requests: GeminiRequest[] = [];
  const embeddings: EmbedRequest[] = [];
  let script: EmulatorScript = {};
  const scripts = new Map<string, EmulatorScript>();
  let events: readonly object[] | undefined;
  let active = 0;
  const connected = new WeakSet<object>();
  const server = createServer(async (request, response) => {
    active += 1;
    const left = new AbortController();
    response.on("close", () => {
      active -= 1;
      left.abort();
    });
    if (!connected.has(request.socket)) await rest(script.connectMs ?? 0, left.signal);
    connected.add(request.socket);
    const embedded = await readEmbedRequest(request);
    if (embedded) {
      embeddings.push(embedded);
      if (script.fault) return fail(response, script.fault);
      return send(response, embeddingsOf(embedded));
    }
    const read = await readRequest(request).catch(() => undefined);
    if (!read) return send(response, errorJson(404, "NOT_FOUND", "no such method", []));
    requests.push(read);
    if (events) return void response.writeHead(200, sse).end(events.map(eventOf).join(""));
    await answer(response, scripts.get(read.model) ?? script, left.signal);
  });
  const url = await listen(server);
  return {
    url,
    requests,
    embeddings,
    play: (next) => {
      script = next;
      events = undefined;
    },
    playModel: (model, next) => void scripts.set(model, next),
    playEvents: (next) => {
      events = next;
    },
    active: () => active,
    stop: () => close(server),
  };
}

const sse = { "content-type": "text/event-stream" };

async function readRequest(request: IncomingMessage): Promise<GeminiRequest | undefined> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://loopback");
  const model = route.exec(pathname)?.[1];
  if (request.method !== "POST" || !model || searchParams.get("alt") !== "sse") return undefined;
  const body = JSON.parse(await readText(request)) as GeminiBody;
  return { apiKey: request.headers["x-goog-api-key"]?.toString(), model, body };
}

async function readEmbedRequest(request: IncomingMessage): Promise<EmbedRequest | undefined> {
  const { pathname } = new URL(request.url ?? "/", "http://loopback");
  const model = embedRoute.exec(pathname)?.[1];
  if (request.method !== "POST" || !model) return undefined;
  const { requests = [] } = JSON.parse(await readText(request)) as {
    requests?: readonly { readonly content: GeminiMessage; readonly taskType?: string }[];
  };
  const texts = requests.map(
    ({ content }) => content.parts?.map(({ text }) => text).join("") ?? "",
  );
  return { model, texts, taskType: requests[0]?.taskType };
}

const DIMENSIONS = 64;

/** Each word counts in one dimension. */
function embeddingsOf({ texts }: EmbedRequest): Refusal {
  const embeddings = texts.map((text) => {
    const values = new Array<number>(DIMENSIONS).fill(0.001);
    for (const word of text.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []) {
      const at = [...word].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) % DIMENSIONS;
      values[at] = (values[at] ?? 0) + 1;
    }
    return { values };
  });
  const headers = { "content-type": "application/json" };
  return { status: 200, headers, body: JSON.stringify({ embeddings }) };
}

async function answer(
  response: ServerResponse,
  script: EmulatorScript,
  signal: AbortSignal,
): Promise<void> {
  const write = writerOf(response, script, signal);
  for await (const step of paced(script, signal)) {
    if (step.type === "fault") return fail(response, step.fault);
    await write(step.type === "end" ? endEvent : deltaEvent(step.text));
  }
  if (!signal.aborted) response.end();
}

function writerOf(response: ServerResponse, { fault }: EmulatorScript, signal: AbortSignal) {
  return async (event: object) => {
    begin(response);
    const bytes = Buffer.from(eventOf(event));
    if (fault?.kind === "drip") await drip(bytes, (byte) => void response.write(byte), signal);
    else response.write(bytes);
  };
}

/** Plays the fault. `hang` only begins the response, and waits for the client to leave. */
function fail(response: ServerResponse, fault: Fault): void {
  const refusal = geminiRefusal(fault);
  if (refusal && !response.headersSent) {
    send(response, refusal);
    return;
  }
  if (fault.kind === "refuse") {
    response.socket?.resetAndDestroy();
    return;
  }
  begin(response);
  if (refusal) response.end(`data: ${asEvent(refusal)}\n\n`);
  if (fault.kind === "empty") response.end(eventOf(endEvent));
  if (fault.kind === "malformed") response.end('data: {"candidates": [{"content": {"parts"\n\n');
  if (fault.kind === "cut") {
    const half = eventOf(deltaEvent("never whole")).slice(0, 30);
    response.write(half, () => response.socket?.destroy());
  }
}

/** The error as an event: always JSON. */
function asEvent({ status, body }: Refusal): string {
  return body.startsWith("{") ? body : errorJson(status, "INTERNAL", "Internal error", []).body;
}

function begin(response: ServerResponse): void {
  if (!response.headersSent) response.writeHead(200, sse).flushHeaders();
}

function send(response: ServerResponse, { status, headers, body }: Refusal): void {
  response.writeHead(status, headers).end(body);
}

function deltaEvent(text: string): object {
  return { candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0 }] };
}

const endEvent = {
  candidates: [{ content: { role: "model", parts: [{ text: "" }] }, finishReason: "STOP" }],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
};

function eventOf(event: object): string {
  return `data: ${JSON.stringify(event)}\r\n\r\n`;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
