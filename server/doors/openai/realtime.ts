import { randomUUID } from "node:crypto";
import { z } from "zod";
import { MAX_PROMPT_BYTES } from "../../conversation/turn-request.ts";
import { TurnCancelled } from "../../core/async.ts";
import type {
  WebSocketCaller,
  WebSocketChannel,
  WebSocketRequest,
  WebSocketRoute,
} from "../../core/web-socket.ts";
import type { DoorParts } from "../door.ts";
import { invalidField, OpenaiProblem, toOpenaiError } from "./errors.ts";
import { createItems, describeItem, type RealtimeItem, readItem } from "./realtime-items.ts";
import type { SendEvent } from "./realtime-response.ts";
import { createResponses } from "./realtime-responses.ts";
import { createSession, type RealtimeSession } from "./realtime-session.ts";
import {
  createDeafSpeech,
  createSpeech,
  createVoiceMemory,
  isHearing,
  type VoiceMemory,
} from "./realtime-speech.ts";
import { checkFields, parseJson } from "./request.ts";
import type { VoiceRule } from "./voices.ts";

/** What sessions are served with. */
export type RealtimeParts = Pick<DoorParts, "conversation" | "languageModels" | "logger"> & {
  readonly voiceOf: VoiceRule;
};

/** A prompt with every character escaped, and room for the other fields. */
const MAX_EVENT_BYTES = 6 * MAX_PROMPT_BYTES + 64 * 1024;

/** Of all users' voices that wait for their turns: 64 MiB. */
const MAX_VOICE_SAMPLES = 32 * 1024 * 1024;

/**
 * `/v1/realtime`: OpenAI's Realtime API. The user writes, or speaks where a tier hears; the reply sounds.
 * A session has a conversation of its own, which ends with it. What is wrong with an event is answered by
 * an `error`, and the session goes on.
 */
export function createRealtimeRoute(parts: RealtimeParts): WebSocketRoute {
  const memory = createVoiceMemory(MAX_VOICE_SAMPLES);
  return {
    path: "/v1/realtime",
    subprotocols: ["realtime"],
    maxMessageBytes: MAX_EVENT_BYTES,
    refuse({ url }) {
      if (url.searchParams.get("intent") !== "transcription") return undefined;
      const problem = invalidField(
        "intent",
        "must not be transcription: speech is heard by the model that answers it",
      );
      const { status, error } = toOpenaiError(problem);
      return { status, body: { error } };
    },
    authorizationOf: keyOfPage,
    serve: (channel, request, caller) =>
      serveSession({ ...parts, memory, channel, request, caller }),
  };
}

/** A page cannot set a header: its key is a subprotocol. */
function keyOfPage({ headers }: WebSocketRequest): string | undefined {
  const offered = `${headers["sec-websocket-protocol"] ?? ""}`
    .split(",")
    .map((each) => each.trim());
  const named = offered.find((each) => each.startsWith(KEY_PROTOCOL));
  return named && `Bearer ${named.slice(KEY_PROTOCOL.length)}`;
}

const KEY_PROTOCOL = "openai-insecure-api-key.";

async function serveSession(parts: Opened): Promise<void> {
  const { channel, request } = parts;
  const send: SendEvent = (type, fields) =>
    channel.send(JSON.stringify({ type, event_id: `event_${randomUUID()}`, ...fields }));
  const model = request.url.searchParams.get("model") || "parley";
  const session = createSession(model, isHearing(parts.languageModels));
  const client = createClient({ ...parts, session, send });
  await send("session.created", { session: session.describe() });
  try {
    for await (const message of channel.messages) await client.take(message);
  } finally {
    await client.end();
  }
}

type Opened = RealtimeParts & {
  readonly memory: VoiceMemory;
  readonly channel: WebSocketChannel;
  readonly request: WebSocketRequest;
  readonly caller: WebSocketCaller;
};

type Session = Opened & {
  readonly session: RealtimeSession;
  readonly send: SendEvent;
};

const eventFields = z.looseObject({ type: z.string(), event_id: z.string().optional() });

type ClientEvent = z.output<typeof eventFields>;

/** Answers the events of one client, one after another; a response goes on meanwhile. */
function createClient(parts: Session) {
  const { send, session } = parts;
  const items = createItems();
  const responses = createResponses(parts, items, (item) => speech.transcribe(item));
  const speech = isHearing(parts.languageModels)
    ? createSpeech({ ...parts, items, responses })
    : createDeafSpeech(send);
  const sendItem = (event: string, item: RealtimeItem) =>
    send(`conversation.item.${event}`, {
      previous_item_id: items.previousOf(item),
      item: describeItem(item),
    });
  const handlers: Readonly<Record<string, (event: ClientEvent) => Promise<void> | void>> = {
    "session.update"({ session: changes }) {
      session.update(changes);
      speech.configure();
      return send("session.updated", { session: session.describe() });
    },
    async "conversation.item.create"({ item: fields, previous_item_id: previous }) {
      const item = readItem(fields);
      items.add(item, typeof previous === "string" ? previous : undefined);
      await sendItem("added", item);
      await sendItem("done", item);
    },
    "conversation.item.retrieve": ({ item_id }) =>
      send("conversation.item.retrieved", { item: describeItem(items.find(item_id)) }),
    "conversation.item.delete"({ item_id }) {
      items.remove(item_id);
      return send("conversation.item.deleted", { item_id });
    },
    "conversation.item.truncate"({ item_id, content_index = 0, audio_end_ms }) {
      items.truncate(item_id, audio_end_ms);
      return send("conversation.item.truncated", { item_id, content_index, audio_end_ms });
    },
    "response.create": ({ response }) => responses.create(response ?? {}),
    "response.cancel": ({ response_id }) => responses.cancel(response_id),
    "input_audio_buffer.append": ({ audio }) => speech.append(audio),
    "input_audio_buffer.commit": () => speech.commit(),
    "input_audio_buffer.clear": () => speech.clear(),
  };
  const take = async (message: string | Uint8Array) => {
    let eventId: string | undefined;
    try {
      const event = readEvent(message);
      eventId = event.event_id;
      const handler = Object.hasOwn(handlers, event.type) ? handlers[event.type] : undefined;
      if (!handler) throw invalidField("type", `has no event ${JSON.stringify(event.type)}`);
      await handler(event);
    } catch (error) {
      if (error instanceof TurnCancelled) throw error;
      const { status, error: told } = toOpenaiError(error);
      if (status === 500) parts.logger.error({ error: String(error) }, "a request failed");
      await send("error", { error: { ...told, event_id: eventId ?? null } });
    }
  };
  const end = async () => {
    await responses.end();
    speech.end();
  };
  return { take, end };
}

function readEvent(message: string | Uint8Array): ClientEvent {
  if (typeof message !== "string") {
    throw new OpenaiProblem(400, "invalid_json", "events are JSON in text messages");
  }
  return checkFields(eventFields, parseJson(message));
}
