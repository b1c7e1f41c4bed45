import { z } from "zod";
import type { WebSocketCaller, WebSocketChannel, WebSocketRequest } from "../../core/web-socket.ts";
import { type DoorParts, turnOfCaller } from "../door.ts";
import { invalidField, OpenaiProblem } from "./errors.ts";
import { promptOf, type TextMessage } from "./messages.ts";
import { type RealtimeItem, type RealtimeItems, readItem } from "./realtime-items.ts";
import {
  type RunningResponse,
  type SendEvent,
  startResponse,
  type Transcript,
} from "./realtime-response.ts";
import { type RealtimeSession, responseSettings } from "./realtime-session.ts";
import { checkFields } from "./request.ts";
import type { VoiceRule } from "./voices.ts";

const responseFields = z.looseObject({
  conversation: z.enum(["auto", "none"]).nullish(),
  input: z.array(z.unknown()).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
});

/** What the responses of a session are made with. */
type ResponseParts = Pick<DoorParts, "conversation"> & {
  readonly voiceOf: VoiceRule;
  readonly session: RealtimeSession;
  readonly channel: Pick<WebSocketChannel, "signal">;
  readonly request: Pick<WebSocketRequest, "connection">;
  readonly caller: WebSocketCaller;
  readonly send: SendEvent;
};

/** The responses of a session, one at a time. `transcribe` follows what is heard of the user's voice. */
export function createResponses(
  parts: ResponseParts,
  items: RealtimeItems,
  transcribe: (item: RealtimeItem) => Transcript | undefined,
) {
  let running: RunningResponse | undefined;
  const promptFor = (messages: readonly TextMessage[], instructions: string) => {
    const said = messages.filter(({ role }) => role !== "system");
    // Without words of the user the instructions say what to do: "Greet the user."
    const asked: readonly TextMessage[] =
      said.at(-1)?.role === "user" ? [] : [{ role: "user", text: instructions }];
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
      const spoken = own ? undefined : items.spoken();
      const response = startResponse(
        {
          conversation: parts.conversation,
          prompt: promptFor(messages, settings.instructions),
          settings,
          voice: parts.voiceOf(settings.voice),
          ...(conversation !== "none" && { items }),
          metadata: metadata ?? null,
          transcript: spoken && transcribe(spoken),
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
      running.cancel("client_cancelled");
    },
    bargeIn() {
      if (running?.isCancelled() === false) running.cancel("turn_detected");
    },
    async end() {
      running?.cancel("client_cancelled");
      await running?.done.catch(() => undefined);
    },
  };
}
