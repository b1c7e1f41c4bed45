import { randomUUID } from "node:crypto";
import type { Conversation } from "../../conversation/conversation.ts";
import type { TurnChunk } from "../../conversation/reply.ts";
import { createId } from "../../conversation/sessions.ts";
import type { TurnRequest } from "../../conversation/turn-request.ts";
import { TurnCancelled } from "../../core/async.ts";
import { bytesOf, outputRateHz } from "../../core/audio/pcm.ts";
import { createResampler } from "../../core/audio/resample.ts";
import { createTempoChanger } from "../../core/audio/tempo.ts";
import type { WordTiming } from "../../models/synthesizer.ts";
import { toOpenaiError } from "./errors.ts";
import type { ConversationPrompt } from "./messages.ts";
import {
  createReplyItem,
  describeItem,
  type RealtimeItems,
  type ReplyItem,
} from "./realtime-items.ts";
import { describeSettings, type RealtimeSettings } from "./realtime-session.ts";
import { usageOf } from "./usage.ts";

/** Sends one event; its id is added. */
export type SendEvent = (type: string, fields: object) => Promise<void>;

/** Follows what the tiers hear of the item that a response answers. */
export type Transcript = {
  /** Takes all that was heard so far. */
  onHeard(words: string): void;
  /** The response is over; with the error by which it failed. */
  end(error?: unknown): Promise<void>;
};

/** What a response is made with. */
export type ResponseRequest = {
  readonly conversation: Pick<Conversation, "talk">;
  readonly prompt: ConversationPrompt;
  readonly settings: RealtimeSettings;
  /** The voice to speak with, if not each tier's own. */
  readonly voice: string | undefined;
  /** Where the reply is kept; absent for one outside of the conversation. */
  readonly items?: RealtimeItems;
  readonly metadata: object | null;
  /** Follows what the tiers hear, if the prompt came as sound. */
  readonly transcript?: Transcript | undefined;
  /** The turn's session and connection. */
  readonly turn: Pick<TurnRequest, "sessionId" | "connection" | "deviceId" | "hasOwnHistory">;
  readonly send: SendEvent;
};

/** A response in progress. */
export type RunningResponse = {
  readonly id: string;
  /** Stops the turn. The events that end the response follow, and tell who stopped it. */
  cancel(by: CancelReason): void;
  isCancelled(): boolean;
  /** Resolves with the response's last event. Rejects if the client has left, or on a defect. */
  readonly done: Promise<void>;
};

/** Who stops a response: the client, or the user who speaks. */
type CancelReason = "client_cancelled" | "turn_detected";

/** OpenAI's rate of sound. */
const RATE_HZ = 24_000;

/** Starts a response: one turn, and the events around what it makes. */
export function startResponse(
  request: ResponseRequest,
  clientSignal: AbortSignal,
): RunningResponse {
  const cancelled = new AbortController();
  const id = `resp_${randomUUID()}`;
  const signal = AbortSignal.any([clientSignal, cancelled.signal]);
  let reason: CancelReason = "client_cancelled";
  return {
    id,
    cancel(by) {
      reason = by;
      cancelled.abort(new TurnCancelled("interrupted"));
    },
    isCancelled: () => cancelled.signal.aborted,
    done: run(id, { ...request, cancelledBy: () => reason }, signal),
  };
}

/** How a response ended. */
type Ending = { readonly status: string; readonly details: object; readonly error?: unknown };

type Running = ResponseRequest & { readonly cancelledBy: () => CancelReason };

async function run(id: string, request: Running, signal: AbortSignal): Promise<void> {
  const { send, transcript } = request;
  const reply = createReply(id, request);
  await send("response.created", { response: describe(id, request, { status: "in_progress" }) });
  const ending = await makeReply(reply, request, signal);
  await transcript?.end(ending.error);
  const item = await reply.end(ending.status === "completed");
  const usage = usageOf(request.prompt, { text: item?.text ?? "", ms: item?.soundMs() ?? 0 });
  const { status, details: status_details } = ending;
  const output = item ? [describeItem(item)] : [];
  const fields = { status, status_details, output, usage };
  await send("response.done", { response: describe(id, request, fields) });
}

async function makeReply(
  reply: Reply,
  { conversation, prompt, settings, voice, turn, transcript, cancelledBy }: Running,
  signal: AbortSignal,
): Promise<Ending> {
  let isPartial = false;
  const listener = {
    onPartial() {
      isPartial = true;
    },
    ...(transcript && { onHeard: transcript.onHeard }),
  };
  const asked = {
    ...turn,
    turnId: createId(),
    prompt,
    verbatim: false,
    textOnly: !settings.isSpoken,
    voice: voice === undefined ? {} : { name: voice },
  };
  try {
    for await (const batch of conversation.talk(asked, signal, listener)) {
      for (const chunk of batch) await reply.take(chunk);
    }
  } catch (error) {
    return endingOf(error, signal, cancelledBy());
  }
  const type = isPartial ? "incomplete" : "completed";
  return { status: type, details: { type } };
}

function endingOf(error: unknown, signal: AbortSignal, reason: CancelReason): Ending {
  if (error instanceof TurnCancelled && signal.reason?.reason === "interrupted") {
    return { status: "cancelled", details: { type: "cancelled", reason }, error };
  }
  const { type, code, message } = toOpenaiError(error).error;
  return { status: "failed", details: { type: "failed", error: { type, code, message } }, error };
}

/** The reply's item, and the events that tell it. */
type Reply = {
  take(chunk: TurnChunk): Promise<void>;
  /** Ends the item and returns it; undefined if it never began. */
  end(isWhole: boolean): Promise<ReplyItem | undefined>;
};

function createReply(responseId: string, request: ResponseRequest): Reply {
  const { isSpoken, speed } = request.settings;
  const events = createItemEvents(responseId, request);
  const tempo = createTempoChanger(outputRateHz, speed);
  const resampler = createResampler(outputRateHz, RATE_HZ);
  let item: ReplyItem | undefined;
  const begin = async (): Promise<ReplyItem> => {
    const begun = createReplyItem(isSpoken);
    request.items?.add(begun);
    await events.added(begun);
    return begun;
  };
  const speak = (spoken: ReplyItem, pcm: Int16Array, words: readonly WordTiming[]) => {
    const atSpeed = words.map((word) => ({ ...word, endSample: word.endSample / speed }));
    spoken.speak(pcm.length, atSpeed);
    return events.sound(spoken, resampler.push(pcm));
  };
  return {
    async take(chunk) {
      item ??= await begin();
      if (chunk.type === "audio") return speak(item, tempo.push(chunk.pcm), chunk.words ?? []);
      item.write(chunk.text);
      return events.text(item, chunk.text);
    },
    async end(isWhole) {
      if (!item) return undefined;
      if (isSpoken && isWhole) {
        await speak(item, tempo.flush(), []);
        await events.sound(item, resampler.flush());
      }
      item.status = isWhole ? "completed" : "incomplete";
      await events.done(item);
      return item;
    },
  };
}

/** Sends the events of one item, as OpenAI orders them. */
function createItemEvents(response_id: string, { settings, items, send }: ResponseRequest) {
  const { isSpoken } = settings;
  const kind = isSpoken ? "response.output_audio_transcript" : "response.output_text";
  const placeOf = ({ id }: ReplyItem) => ({
    response_id,
    item_id: id,
    output_index: 0,
    content_index: 0,
  });
  const textOf = ({ text }: ReplyItem) => (isSpoken ? { transcript: text } : { text });
  const partOf = (item: ReplyItem) => ({ type: isSpoken ? "audio" : "text", ...textOf(item) });
  const sendItem = async (event: string, item: ReplyItem) => {
    const described = { item: describeItem(item) };
    await send(`response.output_item.${event}`, { response_id, output_index: 0, ...described });
    if (!items) return;
    const previous_item_id = items.previousOf(item);
    await send(`conversation.item.${event}`, { previous_item_id, ...described });
  };
  return {
    async added(item: ReplyItem) {
      await sendItem("added", item);
      await send("response.content_part.added", { ...placeOf(item), part: partOf(item) });
    },
    text: (item: ReplyItem, delta: string) => send(`${kind}.delta`, { ...placeOf(item), delta }),
    async sound(item: ReplyItem, pcm: Int16Array) {
      if (pcm.length === 0) return;
      const delta = Buffer.from(bytesOf(pcm)).toString("base64");
      await send("response.output_audio.delta", { ...placeOf(item), delta });
    },
    async done(item: ReplyItem) {
      const place = placeOf(item);
      if (isSpoken) await send("response.output_audio.done", place);
      await send(`${kind}.done`, { ...place, ...textOf(item) });
      await send("response.content_part.done", { ...place, part: partOf(item) });
      await sendItem("done", item);
    },
  };
}

function describe(id: string, { settings, items, metadata }: ResponseRequest, fields: object) {
  return {
    object: "realtime.response",
    id,
    ...(items && { conversation_id: items.id }),
    status_details: null,
    output: [],
    metadata,
    usage: null,
    ...describeSettings(settings),
    ...fields,
  };
}
