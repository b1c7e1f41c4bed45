import { find } from "./page.ts";
import {
  canCaptureScreen,
  captureScreen,
  firstPicture,
  PictureRefused,
  prepareScreenshot,
  type Screenshot,
} from "./screenshot.ts";
import { isTalkShown } from "./views.ts";

/** The picture that goes with the next prompt: chosen, pasted, dropped anywhere, or a still of the screen. */
export class Attachment {
  readonly #file = find("#file", HTMLInputElement);
  readonly #row = find("#attachment", HTMLElement);
  readonly #thumbnail = find("#thumbnail", HTMLElement);
  readonly #refusal = find("#refusal", HTMLElement);
  readonly #detach = find("#detach", HTMLButtonElement);
  #picture: Screenshot | undefined;
  #asked = 0;

  constructor() {
    this.#file.addEventListener("change", () => {
      const file = firstPicture(this.#file.files);
      this.#file.value = "";
      this.#takeFile(file);
    });
    find("#attach", HTMLButtonElement).addEventListener("click", () => this.#file.click());
    const capture = find("#capture", HTMLButtonElement);
    capture.hidden = !canCaptureScreen();
    capture.addEventListener("click", () => this.#take(captureScreen()));
    this.#detach.addEventListener("click", () => {
      this.clear();
      find("#prompt", HTMLElement).focus();
    });
    document.addEventListener("paste", (event) => this.#paste(event));
    acceptDrops((file) => this.#takeFile(file));
  }

  /** The picture, if there is one; it is no longer attached then. */
  take(): Screenshot | undefined {
    const picture = this.#picture;
    this.clear();
    return picture;
  }

  /** Takes the picture away, and what was said about the last one. */
  clear(): void {
    this.#asked++;
    this.#picture = undefined;
    this.#thumbnail.replaceChildren();
    this.#row.hidden = true;
    this.#refusal.hidden = true;
  }

  #paste(event: ClipboardEvent): void {
    const file = firstPicture(event.clipboardData?.files);
    if (!file || !isTalkShown()) return;
    event.preventDefault();
    this.#takeFile(file);
  }

  #takeFile(file: File | undefined): void {
    if (file) this.#take(prepareScreenshot(file));
  }

  async #take(preparing: Promise<Screenshot>): Promise<void> {
    const asked = ++this.#asked;
    this.#refusal.hidden = true;
    try {
      const picture = await preparing;
      if (asked !== this.#asked) return;
      this.#picture = picture;
      this.#thumbnail.replaceChildren(picture.canvas);
      this.#row.hidden = false;
    } catch (error) {
      if (!(error instanceof PictureRefused)) throw error;
      this.#refusal.textContent = error.message;
      this.#refusal.hidden = false;
    }
  }
}

/** Files may be dropped anywhere on the page. */
function acceptDrops(take: (file: File | undefined) => void): void {
  const isFile = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes("Files") === true;
  const show = (is: boolean) => document.body.toggleAttribute("data-dropping", is);
  document.addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    show(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) show(false);
  });
  document.addEventListener("drop", (event) => {
    show(false);
    if (!isFile(event)) return;
    event.preventDefault();
    if (!isTalkShown()) return;
    take(firstPicture(event.dataTransfer?.files));
  });
}
