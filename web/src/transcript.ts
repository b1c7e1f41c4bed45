import type { Heard } from "./captions.ts";
import { highlight } from "./highlight.ts";
import { find } from "./page.ts";

/** A turn as the list shows it. */
export type TurnView = {
  /** Shows the reply so far; it only ever grows. */
  show(text: string): void;
  /** Lights what was heard. */
  light(heard: Heard): void;
  /** Ends it: whole, or cut off with a note. What was not heard then stays pale. */
  close(note?: string): void;
};

const nearPx = 160;

/** The list of turns, oldest first. */
export class Transcript {
  readonly #list = find("#conversation", HTMLOListElement);
  readonly #empty = find("#empty", HTMLElement);
  readonly #announcer = find("#announcer", HTMLElement);

  /** Adds a turn with what the user said, and the picture that went with it. */
  add(said: string, picture?: HTMLCanvasElement): TurnView {
    this.#empty.hidden = true;
    const item = document.createElement("li");
    item.append(prompt(said, picture));
    const reply = paragraph("reply", "");
    reply.append(speaker("Parley: "));
    const text = new Text();
    reply.append(text);
    reply.setAttribute("data-voice", "live");
    reply.hidden = true;
    item.append(reply);
    this.#list.append(item);
    this.#announcer.replaceChildren();
    scrollDown();
    return this.#view(reply, text);
  }

  #view(reply: HTMLElement, text: Text): TurnView {
    const lights = highlight(text);
    return {
      show: (whole) => {
        if (whole.length === text.length) return;
        const near = nearBottom();
        reply.hidden = false;
        this.#announcer.append(paragraph("", whole.slice(text.length)));
        text.appendData(whole.slice(text.length));
        if (near) scrollDown();
      },
      light: (heard) => lights.show(heard),
      close: (note) => {
        lights.close(note !== undefined);
        reply.setAttribute("data-voice", note === undefined ? "done" : "cut");
        if (note !== undefined) reply.after(paragraph("note", note));
        if (nearBottom()) scrollDown();
      },
    };
  }
}

function prompt(said: string, picture?: HTMLCanvasElement): HTMLElement {
  const element = paragraph("said", said);
  element.prepend(speaker("You: "));
  if (!picture) return element;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "Attached picture");
  element.append(picture);
  return element;
}

// Eyes tell the speakers apart by where they stand.
function speaker(name: string): HTMLElement {
  const element = document.createElement("span");
  element.className = "visually-hidden";
  // So that the direction of the whole is that of what was said.
  element.dir = "ltr";
  element.textContent = name;
  return element;
}

function paragraph(className: string, text: string): HTMLElement {
  const element = document.createElement("p");
  if (className) element.className = className;
  element.dir = "auto";
  element.textContent = text;
  return element;
}

function nearBottom(): boolean {
  const { scrollHeight } = document.documentElement;
  return scrollHeight - scrollY - innerHeight < nearPx;
}

function scrollDown(): void {
  scrollTo({ top: document.documentElement.scrollHeight });
}
