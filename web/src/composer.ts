import type { Attachment } from "./attachment.ts";
import { canDictate, dictate } from "./dictation.ts";
import { t } from "./messages.ts";
import { count } from "./numbers.ts";
import { find, isOverlayOpen } from "./page.ts";
import { measure } from "./prompt-length.ts";
import type { Screenshot } from "./screenshot.ts";

/** What the user does in the prompt box. */
export type ComposerEvents = {
  /** `atMs` is when, by the page's clock, here and below. */
  send(prompt: string, picture: Screenshot | undefined, atMs: number): void;
  stop(atMs: number): void;
  /** The user types or talks: a voice that sounds is cut off. */
  interrupt(atMs: number): void;
  /** What is in the box now, to be kept. */
  draft(text: string): void;
  /** The prompt before this one; undefined where there is none. */
  last(): string | undefined;
};

const mostRows = 8;
/** Shorter texts need no count. */
const countedFrom = 500;
/** What `say: ` takes where the user's own words are spoken. */
const reservedBytes = 5;

/**
 * The prompt box: Enter sends, Shift+Enter breaks the line, Esc stops, ArrowUp in an empty box brings the
 * last prompt. While it is empty, the microphone stands where Send is.
 */
export class Composer {
  readonly #on: ComposerEvents;
  readonly #attachment: Attachment;
  readonly #prompt = find("#prompt", HTMLTextAreaElement);
  readonly #send = find("#send", HTMLButtonElement);
  readonly #mic = find("#mic", HTMLButtonElement);
  readonly #micNote = find("#mic-note", HTMLElement);
  readonly #length = find("#length", HTMLElement);
  #stopDictation: (() => void) | undefined;

  constructor(attachment: Attachment, draft: string, on: ComposerEvents) {
    this.#on = on;
    this.#attachment = attachment;
    find("#composer", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(event.timeStamp);
    });
    this.#prompt.addEventListener("keydown", (event) => this.#key(event));
    this.#prompt.addEventListener("input", (event) => {
      on.interrupt(event.timeStamp);
      this.#changed();
    });
    this.#mic.addEventListener("click", () => this.#dictate());
    find("#stop", HTMLButtonElement).addEventListener("click", (event) => on.stop(event.timeStamp));
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing || isOverlayOpen()) return;
      this.#stopDictation?.();
      on.stop(event.timeStamp);
    });
    this.#prompt.value ||= draft;
    this.#changed();
  }

  #key(event: KeyboardEvent): void {
    // While an input method is composing, Enter picks its suggestion.
    if (event.isComposing) return;
    if (event.key === "ArrowUp" && this.#prompt.value === "") {
      this.#recall(event);
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit(event.timeStamp);
    }
  }

  #recall(event: KeyboardEvent): void {
    const last = this.#on.last();
    if (last === undefined) return;
    event.preventDefault();
    this.#prompt.value = last;
    this.#changed();
  }

  #submit(atMs: number): void {
    const prompt = this.#prompt.value;
    if (!this.#changed()) return;
    this.#stopDictation?.();
    this.#prompt.value = "";
    this.#changed();
    this.#on.send(prompt, this.#attachment.take(), atMs);
  }

  /** Shows what follows from what is in the box. True if it can be sent. */
  #changed(): boolean {
    const { value } = this.#prompt;
    // For browsers that do not fit the box to its text by themselves.
    this.#prompt.rows = Math.min(mostRows, value.split("\n").length);
    const { characters, most, over } = measure(value, reservedBytes);
    this.#length.hidden = characters < countedFrom;
    this.#length.toggleAttribute("data-over", over > 0);
    this.#length.textContent =
      over > 0 ? t.tooLong(count(over)) : t.lengthOf(count(characters), count(most));
    const isEmpty = value.trim() === "";
    this.#send.disabled = isEmpty || over > 0;
    const offersMic = canDictate() && (isEmpty || this.#stopDictation !== undefined);
    this.#mic.hidden = !offersMic;
    this.#send.hidden = canDictate() && isEmpty;
    this.#on.draft(value);
    return !this.#send.disabled;
  }

  #dictate(): void {
    if (this.#stopDictation) {
      this.#stopDictation();
      return;
    }
    const before = this.#prompt.value;
    this.#stopDictation = dictate({
      onSpeech: () => this.#on.interrupt(performance.now()),
      onWords: (words) => {
        this.#prompt.value = before + words;
        this.#changed();
      },
      onChange: (listening, trouble) => {
        if (!listening) this.#stopDictation = undefined;
        this.#showDictation(listening, trouble);
      },
    });
    this.#changed();
  }

  #showDictation(listening: boolean, trouble: string | undefined): void {
    this.#mic.setAttribute("aria-pressed", String(listening));
    this.#mic.setAttribute("aria-label", listening ? t.dictating : t.dictate);
    this.#micNote.textContent = listening ? t.listening : (trouble ?? "");
    this.#micNote.hidden = !listening && trouble === undefined;
    if (listening) return;
    this.#changed();
    this.#prompt.focus();
  }
}
