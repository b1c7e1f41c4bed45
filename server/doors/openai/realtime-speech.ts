import { LimitExceeded } from "../../core/errors.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { OpenaiProblem, toOpenaiError } from "./errors.ts";
import {
  createSpokenItem,
  describeItem,
  newItemId,
  type RealtimeItem,
  type RealtimeItems,
} from "./realtime-items.ts";
import { createMicrophone, HEARD_RATE_HZ, type Speech } from "./realtime-microphone.ts";
import type { SendEvent, Transcript } from "./realtime-response.ts";
import type { RealtimeSession } from "./realtime-session.ts";

/** What a session's part that hears the user is made with. */
export type SpeechParts = {
  readonly session: RealtimeSession;
  readonly items: RealtimeItems;
  readonly send: SendEvent;
  readonly memory: VoiceMemory;
  readonly responses: {
    /** Makes a response by the session's settings. */
    create(fields: object): Promise<void>;
    /** Cancels the response in progress, if there is one. */
    bargeIn(): void;
  };
};

/** Hears the user of one session. */
export type RealtimeSpeech = {
  append(audio: unknown): Promise<void>;
  commit(): Promise<void>;
  clear(): Promise<void>;
  /** The session's settings may have changed. */
  configure(): void;
  /** Follows what the tiers hear of the item that a response answers. */
  transcribe(item: RealtimeItem): Transcript | undefined;
  /** Frees what is kept. */
  end(): void;
};

/** Whether a tier takes sound. */
export function isHearing(
  languageModels: readonly { readonly provider: Pick<LanguageModel, "hears"> }[],
): boolean {
  return languageModels.some(({ provider }) => provider.hears);
}

/** Memory that the voices of all sessions share. */
export type VoiceMemory = {
  /** Opens the account of one session. */
  open(): {
    /** It keeps so many samples now. Throws `LimitExceeded` if there is no room for them. */
    keep(samples: number): void;
  };
};

/** Creates the memory that voices share. */
export function createVoiceMemory(maxSamples: number): VoiceMemory {
  let all = 0;
  return {
    open() {
      let own = 0;
      return {
        keep(samples) {
          if (samples > own && all + samples - own > maxSamples) {
            throw new LimitExceeded("gateway busy; retry in 2 s", "request_bodies");
          }
          all += samples - own;
          own = samples;
        },
      };
    },
  };
}

/** Refuses to hear, where no tier does: a microphone would get fifty errors a second, and gets one. */
export function createDeafSpeech(send: SendEvent): RealtimeSpeech {
  let hasRefused = false;
  return {
    async append() {
      if (hasRefused) return;
      hasRefused = true;
      throw noMicrophone();
    },
    commit: () => Promise.reject(noMicrophone()),
    clear: () => send("input_audio_buffer.cleared", {}),
    configure: () => undefined,
    transcribe: () => undefined,
    end: () => undefined,
  };
}

function noMicrophone(): OpenaiProblem {
  const message =
    "no tier of this gateway hears (gemini-live does): send text with conversation.item.create";
  return new OpenaiProblem(400, "audio_input_not_supported", message, "audio");
}

/** Opens the ears of a session. */
export function createSpeech(parts: SpeechParts): RealtimeSpeech {
  const { session, items, send, responses } = parts;
  const microphone = createMicrophone();
  const account = parts.memory.open();
  microphone.listen(session.input().detection);
  let listensBy = session.input().detection;
  /** The item of the speech in progress. */
  let itemId = newItemId();

  const count = () => account.keep(microphone.samples() + items.samples());
  const keepItem = async (pcm: Int16Array) => {
    const item = createSpokenItem(itemId, { pcm, sampleRateHz: HEARD_RATE_HZ });
    itemId = newItemId();
    const previous_item_id = items.lastId();
    items.add(item);
    await send("input_audio_buffer.committed", { item_id: item.id, previous_item_id });
    for (const event of ["added", "done"]) {
      await send(`conversation.item.${event}`, { previous_item_id, item: describeItem(item) });
    }
  };
  const take = async (speech: Speech) => {
    const { detection } = session.input();
    const item_id = itemId;
    if (speech.type === "started") {
      await send("input_audio_buffer.speech_started", { item_id, audio_start_ms: speech.atMs });
      if (detection?.interrupt_response) responses.bargeIn();
      return;
    }
    await send("input_audio_buffer.speech_stopped", { item_id, audio_end_ms: speech.atMs });
    await keepItem(speech.pcm);
    if (detection?.create_response) await responses.create({});
  };
  return {
    async append(audio) {
      const changes = microphone.append(audio);
      try {
        count();
      } catch (error) {
        microphone.clear();
        count();
        throw error;
      }
      for (const speech of changes) await take(speech);
    },
    commit: () => keepItem(microphone.commit()),
    async clear() {
      microphone.clear();
      count();
      await send("input_audio_buffer.cleared", {});
    },
    configure() {
      const { detection } = session.input();
      if (JSON.stringify(detection) === JSON.stringify(listensBy)) return;
      listensBy = detection;
      microphone.listen(detection);
    },
    transcribe: (item) => transcribe(item, session, send, count),
    end: () => account.keep(0),
  };
}

function transcribe(
  item: RealtimeItem,
  session: RealtimeSession,
  send: SendEvent,
  onFreed: () => void,
): Transcript {
  const kind = "conversation.item.input_audio_transcription";
  const ms = (item.audio?.pcm.length ?? 0) / (HEARD_RATE_HZ / 1000);
  const { isTranscribed } = session.input();
  const place = { item_id: item.id, content_index: 0 };
  return {
    onHeard(words) {
      const delta = words.startsWith(item.text) ? words.slice(item.text.length) : words;
      item.text = words;
      // A client that left ends the session; nothing else is expected.
      if (isTranscribed) send(`${kind}.delta`, { ...place, delta }).catch(() => undefined);
    },
    async end(error) {
      if (item.text !== "") {
        item.audio = undefined;
        onFreed();
      }
      if (!isTranscribed) return;
      if (item.text !== "") {
        const usage = { type: "duration", seconds: ms / 1000 };
        await send(`${kind}.completed`, { ...place, transcript: item.text, usage });
      } else {
        const untold = new OpenaiProblem(400, "not_transcribed", "no tier told the words");
        const { type, code, message } = toOpenaiError(error ?? untold).error;
        await send(`${kind}.failed`, { ...place, error: { type, code, message } });
      }
    },
  };
}
