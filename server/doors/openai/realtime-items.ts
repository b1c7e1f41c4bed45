import { randomUUID } from "node:crypto";
import { z } from "zod";
import { outputRateHz } from "../../core/audio/pcm.ts";
import type { SpokenPrompt } from "../../models/language-model.ts";
import type { WordTiming } from "../../models/synthesizer.ts";
import { invalidField, OpenaiProblem } from "./errors.ts";
import type { TextMessage } from "./messages.ts";
import { checkFields } from "./request.ts";

/** Items that a conversation keeps, and the characters in them. The oldest go first. */
const MAX_ITEMS = 400;
const MAX_CHARACTERS = 512 * 1024;
const SAMPLES_A_MS = outputRateHz / 1000;

const itemFields = z.looseObject({
  id: z.string().min(1).max(128).nullish(),
  type: z.literal("message"),
  role: z.enum(["system", "user", "assistant"]),
  content: z.array(
    z.looseObject({ type: z.enum(["input_text", "output_text", "text"]), text: z.string() }),
  ),
});

/** A message of a conversation. */
export type RealtimeItem = {
  readonly id: string;
  readonly role: TextMessage["role"];
  readonly isSpoken: boolean;
  status: "in_progress" | "completed" | "incomplete";
  /** What was written; of a reply that was truncated, what was heard; of the user's voice, its words once a model told them. */
  text: string;
  /** The user's voice, until its words are known. */
  audio?: SpokenPrompt | undefined;
};

/** A reply, while it is made and spoken. */
export type ReplyItem = RealtimeItem & {
  /** Takes the next words of the text. */
  write(text: string): void;
  /** Takes sound: its samples of 48 kHz, and the words that became known with it. */
  speak(samples: number, words: readonly WordTiming[]): void;
  /** Milliseconds of sound so far. */
  soundMs(): number;
  /** Keeps what was heard in the first `endMs` of its sound. Throws `OpenaiProblem` if it has less. */
  truncate(endMs: number): void;
};

/** The conversation of one session, oldest first. */
export type RealtimeItems = {
  /** The conversation's id. */
  readonly id: string;
  /** Adds an item behind `previous`: an item's id, "root" for the start; the end if absent. */
  add(item: RealtimeItem, previous?: string): void;
  find(id: unknown): RealtimeItem;
  remove(id: unknown): void;
  /** The id of the item before this one; null if it is the first. */
  previousOf(item: RealtimeItem): string | null;
  /** Keeps what was heard of a reply. Throws `OpenaiProblem`. */
  truncate(id: unknown, endMs: unknown): void;
  messages(): readonly TextMessage[];
  /** The id of the last item; null if there is none. */
  lastId(): string | null;
  /** The item of the user's voice that a response would answer; undefined if it would answer something else. */
  spoken(): RealtimeItem | undefined;
  /** Samples of the user's voice that are kept. */
  samples(): number;
};

/** Reads an item that the client wrote. Throws `OpenaiProblem` that names the field. */
export function readItem(value: unknown, path = "item"): Omit<RealtimeItem, "audio"> {
  const { id, role, content } = checkFields(itemFields, value, path);
  const text = content.map((part) => part.text).join("");
  if (text.trim() === "") throw invalidField(`${path}.content`, "must not be blank");
  return { id: id ?? newItemId(), role, isSpoken: false, status: "completed", text };
}

/** Makes up the id of an item. */
export function newItemId(): string {
  return `item_${randomUUID()}`;
}

/** The item of what the user said. */
export function createSpokenItem(id: string, audio: SpokenPrompt): RealtimeItem {
  return { id, role: "user", isSpoken: true, status: "completed", text: "", audio };
}

/** Begins a reply. */
export function createReplyItem(isSpoken: boolean): ReplyItem {
  /** For each word, where it ends in the text and when it was heard. */
  const heard: { readonly textEnd: number; readonly endSample: number }[] = [];
  let searched = 0;
  let samples = 0;
  /** All that was written, though less of it was heard. */
  let written = "";
  let isTruncated = false;
  const soundMs = () => Math.floor(samples / SAMPLES_A_MS);
  return {
    id: newItemId(),
    role: "assistant",
    isSpoken,
    status: "in_progress",
    text: "",
    write(text) {
      written += text;
      if (!isTruncated) this.text = written;
    },
    speak(count, words) {
      samples += count;
      for (const { word, endSample } of words) {
        const at = written.indexOf(word, searched);
        if (at < 0) continue;
        searched = at + word.length;
        heard.push({ textEnd: searched, endSample });
      }
    },
    soundMs,
    truncate(endMs) {
      if (endMs > soundMs()) {
        throw invalidField(
          "audio_end_ms",
          `must be at most ${soundMs()}: the reply has no more sound`,
        );
      }
      const last = heard.findLast(({ endSample }) => endSample <= endMs * SAMPLES_A_MS);
      const rest = written.slice(last?.textEnd ?? 0);
      // The mark behind a word was heard with it.
      const [mark = ""] = last ? (/^[^\s\p{L}\p{N}]+/u.exec(rest) ?? []) : [];
      this.text = written.slice(0, last?.textEnd ?? 0) + mark;
      isTruncated = true;
    },
  };
}

/** Makes an empty conversation. */
export function createItems(): RealtimeItems {
  let items: RealtimeItem[] = [];
  const find = (id: unknown): RealtimeItem => {
    const item = items.find((each) => each.id === id);
    if (item) return item;
    throw new OpenaiProblem(404, "item_not_found", "the conversation has no such item", "item_id");
  };
  const trim = () => {
    let characters = items.reduce((sum, { text }) => sum + text.length, 0);
    while (items.length > MAX_ITEMS || (characters > MAX_CHARACTERS && items.length > 1)) {
      characters -= items.shift()?.text.length ?? 0;
    }
  };
  return {
    id: `conv_${randomUUID()}`,
    add(item, previous) {
      if (items.some(({ id }) => id === item.id)) {
        throw invalidField("item.id", "must not be that of an item which is there", "item_exists");
      }
      const at = previous === undefined || previous === "root" ? -1 : items.indexOf(find(previous));
      items.splice(previous === undefined ? items.length : at + 1, 0, item);
      trim();
    },
    find,
    remove(id) {
      const removed = find(id);
      items = items.filter((item) => item !== removed);
    },
    previousOf: (item) => items[items.indexOf(item) - 1]?.id ?? null,
    truncate(id, endMs) {
      const item = find(id);
      if (!("truncate" in item) || !item.isSpoken) {
        throw invalidField("item_id", "must be that of a reply with sound");
      }
      if (typeof endMs !== "number" || !(endMs >= 0)) {
        throw invalidField("audio_end_ms", "must be a number of milliseconds from 0 up");
      }
      (item as ReplyItem).truncate(endMs);
    },
    messages: () =>
      items.map(({ role, text, isSpoken, audio }) => ({
        role,
        text: isSpoken && role === "user" && text === "" ? UNTOLD : text,
        ...(audio && { audio }),
      })),
    lastId: () => items.at(-1)?.id ?? null,
    spoken() {
      const last = items.findLast(({ role }) => role !== "system");
      return last?.audio && last;
    },
    samples: () => items.reduce((sum, { audio }) => sum + (audio?.pcm.length ?? 0), 0),
  };
}

/** Stands for words that no model has told. */
const UNTOLD = "(The user said something here that was not written down.)";

/** The item as OpenAI's events have it. */
export function describeItem({ id, role, isSpoken, status, text }: RealtimeItem): object {
  const direction = role === "assistant" ? "output" : "input";
  const content = isSpoken
    ? { type: `${direction}_audio`, transcript: text || (role === "assistant" ? "" : null) }
    : { type: `${direction}_text`, text };
  return {
    id,
    object: "realtime.item",
    type: "message",
    status,
    role,
    content: status === "in_progress" ? [] : [content],
  };
}
