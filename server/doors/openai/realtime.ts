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
import { type DoorParts, turnOfCaller } from "../door.ts";
import { invalidField, OpenaiProblem, toOpenaiError } from "./errors.ts";
import { promptOf, type TextMessage } from "./messages.ts";
import {
  createItems,
  describeItem,
  type RealtimeItem,
  type RealtimeItems,
  readItem,
} from "./realtime-items.ts";
import { type RunningResponse, type SendEvent, startResponse } from "./realtime-response.ts";
import { createSession, type RealtimeSession, responseSettings } from "./realtime-session.ts";
import { checkFields, parseJson } from "./request.ts";
import type { VoiceRule } from "./voices.ts";

/** What sessions are served with. */
export type RealtimeParts = Pick<DoorParts, "conversation" | "logger"> & {
  readonly voiceOf: VoiceRule;
};

/** A prompt with every character escaped, and room for the other fields. */
const MAX_EVENT_BYTES = 6 * MAX_PROMPT_BYTES + 64 * 1024;

/**
 * `/v1/realtime`: OpenAI's Realtime API, text in and sound out. A session has a conversation of its own,
 * which ends with it. What is wrong with an event is answered by an `error`, and the session goes on.
 */
export function createRealtimeRoute(parts: RealtimeParts): WebSocketRoute {
  return {
    path: "/v1/realtime",
    subprotocols: ["realtime"],
    maxMessageBytes: MAX_EVENT_BYTES,
    refuse({ url }) {
      if (url.searchParams.get("intent") !== "transcription") return undefined;
      const problem = invalidField(
        "intent",
        "must not be transcription: microphones are not heard",
      );
      const { status, error } = toOpenaiError(problem);
      return { status, body: { error } };
    },
    authorizationOf: keyOfPage,
    serve: (channel, request, caller) => serveSession({ ...parts, channel, request, caller }),
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
  const session = createSession(request.url.searchParams.get("model") || "parley");
  const client = createClient({ ...parts, session, send });
  await send("session.created", { session: session.describe() });
  try {
    for await (const message of channel.messages) await client.take(message);
  } finally {
    await client.end();
  }
}

type Opened = RealtimeParts & {
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
  const responses = createResponses(parts, items);
  let hasHeardAudio = false;
  const sendItem = (event: string, item: RealtimeItem) =>
    send(`conversation.item.${event}`, {
      previous_item_id: items.previousOf(item),
      item: describeItem(item),
    });
  const handlers: Readonly<Record<string, (event: ClientEvent) => Promise<void> | void>> = {
    "session.update"({ session: changes }) {
      session.update(changes);
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
    "input_audio_buffer.append"() {
      // A microphone would get fifty errors a second.
      if (hasHeardAudio) return;
      hasHeardAudio = true;
      throw noMicrophone();
    },
    "input_audio_buffer.commit"() {
      throw noMicrophone();
    },
    "input_audio_buffer.clear": () => send("input_audio_buffer.cleared", {}),
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
  return { take, end: responses.end };
}

function readEvent(message: string | Uint8Array): ClientEvent {
  if (typeof message !== "string") {
    throw new OpenaiProblem(400, "invalid_json", "events are JSON in text messages");
  }
  return checkFields(eventFields, parseJson(message));
}

function noMicrophone(): OpenaiProblem {
  const message =
    "this gateway does not hear microphones here: send text with conversation.item.create";
  return new OpenaiProblem(400, "audio_input_not_supported", message, "audio");
}

const responseFields = z.looseObject({
  conversation: z.enum(["auto", "none"]).nullish(),
  input: z.array(z.unknown()).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
});

/** The responses of a session, one at a time. */
function createResponses(parts: Session, items: RealtimeItems) {
  let running: RunningResponse | undefined;
  const promptFor = (messages: readonly TextMessage[], instructions: string) => {
    const spoken = messages.filter(({ role }) => role !== "system");
    // Without words of the user the instructions say what to do: "Greet the user."
    const asked: readonly TextMessage[] =
      spoken.at(-1)?.role === "user" ? [] : [{ role: "user", text: instructions }];
    if (asked[0]?.text.trim() === "") {
      throw invalidField("response", "needs a message of the user, or instructions");
    }
    return promptOf([{ role: "system", text: instructions }, ...messages, ...asked]);
  };
  const forget = (response: RunningResponse) => {
    if (running === response) running = undefined;
  };
  return {
    async create(fields: unknown) {
      const { conversation, input, metadata } = checkFields(responseFields, fields, "response");
      const settings = responseSettings(parts.session.settings(), fields);
      if (running?.isCancelled()) await running.done;
      if (running) {
        const message = `the response ${running.id} is in progress; cancel it or wait for its end`;
        throw new OpenaiProblem(400, "conversation_already_has_active_response", message);
      }
      const own = input?.map((item, index) => readItem(item, `response.input.${index}`));
      const messages = own ?? items.messages();
      const response = startResponse(
        {
          conversation: parts.conversation,
          prompt: promptFor(messages, settings.instructions),
          settings,
          voice: parts.voiceOf(settings.voice),
          ...(conversation !== "none" && { items }),
          metadata: metadata ?? null,
          turn: {
            ...turnOfCaller(parts.caller),
            sessionId: parts.session.id,
            connection: parts.request.connection,
          },
          send: parts.send,
        },
        parts.channel.signal,
      );
      running = response;
      // A client that left ends the session; nothing else is expected.
      response.done.catch(() => undefined).finally(() => forget(response));
    },
    cancel(id: unknown) {
      if (!running || running.isCancelled() || (id && id !== running.id)) {
        const message = "no such response is in progress";
        throw new OpenaiProblem(400, "response_cancel_not_active", message);
      }
      running.cancel();
    },
    async end() {
      running?.cancel();
      await running?.done.catch(() => undefined);
    },
  };
}
