import { find } from "./page.ts";
import { firstPicture, PictureRefused, prepareScreenshot, type Screenshot } from "./screenshot.ts";

/** What the user does in the prompt box. */
export type ComposerEvents = {
  send(prompt: string, picture: Screenshot | undefined): void;
  /** `atMs` is when, by the page's clock. */
  stop(atMs: number): void;
  /** The picture cannot be sent: why, in words for a person. */
  refuse(message: string): void;
};

const mostRows = 8;

/** The prompt box: Enter sends, Shift+Enter breaks the line, Esc stops, a picture may be attached. */
export class Composer {
  readonly #on: ComposerEvents;
  readonly #form = find("#composer", HTMLFormElement);
  readonly #prompt = find("#prompt", HTMLTextAreaElement);
  readonly #send = find("#send", HTMLButtonElement);
  readonly #file = find("#file", HTMLInputElement);
  readonly #attachment = find("#attachment", HTMLElement);
  readonly #thumbnail = find("#thumbnail", HTMLElement);
  #picture: Screenshot | undefined;

  constructor(on: ComposerEvents) {
    this.#on = on;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#prompt.addEventListener("keydown", (event) => this.#key(event));
    this.#prompt.addEventListener("input", () => this.#ready());
    this.#prompt.addEventListener("paste", (event) => this.#paste(event));
    this.#file.addEventListener("change", () => this.#attach(firstPicture(this.#file.files)));
    find("#attach", HTMLButtonElement).addEventListener("click", () => this.#file.click());
    find("#detach", HTMLButtonElement).addEventListener("click", () => {
      this.#detach();
      this.#prompt.focus();
    });
    find("#stop", HTMLButtonElement).addEventListener("click", (event) => on.stop(event.timeStamp));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) on.stop(event.timeStamp);
    });
    this.#ready();
  }

  #key(event: KeyboardEvent): void {
    // While an input method is composing, Enter picks its suggestion.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit(): void {
    const prompt = this.#prompt.value;
    if (prompt.trim() === "") return;
    const picture = this.#picture;
    this.#prompt.value = "";
    this.#detach();
    this.#ready();
    this.#on.send(prompt, picture);
  }

  #ready(): void {
    // For browsers that do not fit the box to its text by themselves.
    this.#prompt.rows = Math.min(mostRows, this.#prompt.value.split("\n").length);
    this.#send.disabled = this.#prompt.value.trim() === "";
  }

  #paste(event: ClipboardEvent): void {
    const file = firstPicture(event.clipboardData?.files);
    if (!file) return;
    event.preventDefault();
    this.#attach(file);
  }

  async #attach(file: File | undefined): Promise<void> {
    this.#file.value = "";
    if (!file) return;
    try {
      this.#picture = await prepareScreenshot(file);
      this.#thumbnail.replaceChildren(this.#picture.canvas);
      this.#attachment.hidden = false;
    } catch (error) {
      if (!(error instanceof PictureRefused)) throw error;
      this.#on.refuse(error.message);
    }
  }

  #detach(): void {
    this.#picture = undefined;
    this.#thumbnail.replaceChildren();
    this.#attachment.hidden = true;
  }
}
