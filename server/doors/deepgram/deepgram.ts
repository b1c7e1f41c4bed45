import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import { MAX_PROMPT_BYTES, parseWelcome } from "../../conversation/turn-request.ts";
import { TurnCancelled } from "../../core/async.ts";
import { bytesOf, outputRateHz } from "../../core/audio/pcm.ts";
import { createResampler } from "../../core/audio/resample.ts";
import { InvalidRequest, LimitExceeded, NoProviderLeft } from "../../core/errors.ts";
import type {
  WebSocketCaller,
  WebSocketChannel,
  WebSocketRequest,
  WebSocketRoute,
} from "../../core/web-socket.ts";
import { type Door, type DoorParts, type NodeEnv, turnOfCaller } from "../door.ts";
import { readQuery, type SpeakOptions } from "./query.ts";

/** A text with every character escaped, and room for the other fields. */
const MAX_MESSAGE_BYTES = 6 * MAX_PROMPT_BYTES + 4096;
/** Texts that wait behind the one being spoken. */
const MAX_WAITING = 20;

/**
 * Deepgram's speech over WebSocket: `/v1/speak?encoding=linear16&sample_rate=…`. HTTP requests for the
 * path stay the gateway's own.
 */
export function createDeepgramDoor(parts: DoorParts): Door {
  const speak: WebSocketRoute = {
    path: "/v1/speak",
    subprotocols: ["token", "bearer"],
    maxMessageBytes: MAX_MESSAGE_BYTES,
    authorizationOf: keyOf,
    refuse(request) {
      const options = readQuery(request);
      if (typeof options !== "string") return undefined;
      const err_code = "INVALID_QUERY_PARAMETER";
      return { status: 400, body: { err_code, err_msg: options, request_id: randomUUID() } };
    },
    async serve(channel, request, caller) {
      const options = readQuery(request);
      if (typeof options !== "string") await serve({ ...parts, channel, request, caller, options });
    },
  };
  return { routes: new Hono<NodeEnv>(), webSockets: [speak], requestHeaders: ["authorization"] };
}

/** Deepgram's clients send `Authorization: Token KEY`; a page the subprotocols `token, KEY`. */
function keyOf({ headers }: WebSocketRequest): string | undefined {
  const key = /^token +(.+)$/i.exec(`${headers["authorization"] ?? ""}`)?.[1];
  const [scheme, offered] = `${headers["sec-websocket-protocol"] ?? ""}`.split(",");
  const isKey = scheme?.trim() === "token" || scheme?.trim() === "bearer";
  const found = key ?? (isKey ? offered?.trim() : undefined);
  return found && `Bearer ${found}`;
}

type Opened = Pick<DoorParts, "conversation" | "logger"> & {
  readonly channel: WebSocketChannel;
  readonly request: WebSocketRequest;
  readonly caller: WebSocketCaller;
  readonly options: SpeakOptions;
};

const messageFields = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Speak"), text: z.string() }),
  z.object({ type: z.enum(["Flush", "Clear", "Close"]) }),
]);

/** Collects the text of one connection, and speaks it at each Flush; Close waits for what was flushed. */
async function serve(opened: Opened): Promise<void> {
  const { channel, options } = opened;
  const send = (message: object) => channel.send(JSON.stringify(message));
  const warn = (code: string, description: string) => send({ type: "Warning", code, description });
  await send({
    type: "Metadata",
    request_id: randomUUID(),
    model_name: options.model,
    model_version: "parley",
    model_uuid: randomUUID(),
  });
  const speaker = createSpeaker(opened, { send, warn });
  try {
    for await (const message of channel.messages) {
      const read = readMessage(message);
      if (read === undefined) {
        await warn("DATA-0000", "messages are JSON: Speak with a text, Flush, Clear or Close");
      } else if (read.type === "Close") return await speaker.close();
      else if (read.type === "Speak") await speaker.add(read.text);
      else await (read.type === "Flush" ? speaker.flush() : speaker.clear());
    }
  } finally {
    speaker.stop();
  }
}

function readMessage(message: string | Uint8Array) {
  try {
    const parsed = messageFields.safeParse(JSON.parse(`${message}`));
    return parsed.data;
  } catch {
    return undefined;
  }
}

type Senders = {
  readonly send: (message: object) => Promise<void>;
  readonly warn: (code: string, description: string) => Promise<void>;
};

/** Speaks the texts of a connection one after another, each as a turn. */
function createSpeaker(opened: Opened, { send, warn }: Senders) {
  const { channel } = opened;
  let text = "";
  let sequence = 0;
  let waiting = 0;
  let cleared = new AbortController();
  let spoken: Promise<void> = Promise.resolve();
  const flush = async () => {
    if (waiting > MAX_WAITING) {
      return warn("EXCEEDED_FLUSHES", `more than ${MAX_WAITING} texts wait to be spoken`);
    }
    const said = text;
    text = "";
    waiting += 1;
    const { signal } = cleared;
    const speakNow = async () => {
      if (!signal.aborted && said.trim() !== "") await speakText(opened, said, { signal, warn });
      waiting -= 1;
      if (!signal.aborted) await send({ type: "Flushed", sequence_id: sequence++ });
    };
    spoken = spoken.then(speakNow);
    // Only a client that has left fails it: its messages end as well.
    spoken.catch(() => undefined);
  };
  return {
    async add(more: string) {
      if (Buffer.byteLength(text) + Buffer.byteLength(more) <= MAX_PROMPT_BYTES) text += more;
      else await warn("EXCEEDED_TEXT", `a text is at most ${MAX_PROMPT_BYTES} bytes; Flush before`);
    },
    flush,
    async clear() {
      text = "";
      cleared.abort(new TurnCancelled("interrupted"));
      cleared = new AbortController();
      await spoken;
      await send({ type: "Cleared", sequence_id: sequence++ });
    },
    /** Resolves when all that was added is spoken. */
    async close() {
      if (text.trim() !== "") await flush();
      const left = new Promise<void>((resolve) =>
        channel.signal.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([spoken, left]);
    },
    stop: () => cleared.abort(new TurnCancelled("disconnected")),
  };
}

type Flush = { readonly signal: AbortSignal; readonly warn: Senders["warn"] };

/** Speaks one text. A turn that fails is a Warning, and the connection goes on. */
async function speakText(opened: Opened, text: string, { signal, warn }: Flush): Promise<void> {
  try {
    for await (const pcm of soundOf(opened, text, signal)) {
      if (signal.aborted) return;
      if (pcm.length > 0) await opened.channel.send(bytesOf(pcm));
    }
  } catch (error) {
    if (signal.aborted || opened.channel.signal.aborted) return;
    const { code, description, isKnown } = toWarning(error);
    if (!isKnown) opened.logger.error({ error: String(error) }, "a request failed");
    await warn(code, description);
  }
}

async function* soundOf(
  { conversation, channel, request, caller, options }: Opened,
  text: string,
  cleared: AbortSignal,
): AsyncGenerator<Int16Array> {
  const resampler = createResampler(outputRateHz, options.sampleRateHz);
  const turn = {
    ...parseWelcome({ text, ...options.voice }),
    ...turnOfCaller(caller),
    connection: request.connection,
  };
  const signals = [channel.signal, cleared, ...(caller.signal ? [caller.signal] : [])];
  for await (const batch of conversation.talk(turn, AbortSignal.any(signals))) {
    for (const chunk of batch) {
      if (chunk.type === "audio") yield resampler.push(chunk.pcm);
    }
  }
  yield resampler.flush();
}

function toWarning(error: unknown) {
  const told = (code: string) => ({
    code,
    description: error instanceof Error ? error.message : "",
    isKnown: true,
  });
  if (error instanceof InvalidRequest) return told("DATA-0000");
  if (error instanceof LimitExceeded) return told("TOO_MANY_REQUESTS");
  if (error instanceof NoProviderLeft) return told("SERVICE_UNAVAILABLE");
  if (error instanceof TurnCancelled) return told("NET-0001");
  return { code: "INTERNAL_SERVER_ERROR", description: "internal error", isKnown: false };
}
