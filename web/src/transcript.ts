import type { Heard } from "./captions.ts";
import type { Follow } from "./follow.ts";
import { t } from "./messages.ts";
import { find } from "./page.ts";
import { ReplyView } from "./reply-view.ts";
import { TurnLine, type TurnLineEvents } from "./turn-line.ts";

/** A turn as the list shows it. */
export type TurnView = {
  readonly line: TurnLine;
  /** Shows the reply so far; it only ever grows. */
  show(text: string): void;
  /** Lights what was heard, and keeps it in view. */
  light(heard: Heard): void;
  /** The user clicks at a place of the text. */
  onPlace(listener: (place: number) => void): void;
  /** Adds one quiet line, once. */
  note(text: string): void;
  /** Adds a line with a button that sends the words again. */
  offerAgain(note: string, again: () => void): void;
  /** The voice plays (again), or is over: whole, or cut off. What was not heard then stays pale. */
  voice(state: "live" | "done" | "cut"): void;
  /** Takes the turn out of the page. */
  remove(): void;
};

/** Turns that the page shows at most: those before them go, with their sound. */
const mostTurns = 100;

/** The list of turns, oldest first. */
export class Transcript {
  readonly #list = find("#conversation", HTMLOListElement);
  readonly #empty = find("#empty", HTMLElement);
  readonly #follow: Follow;
  readonly #views: TurnView[] = [];

  constructor(follow: Follow) {
    this.#follow = follow;
  }

  /** Adds a turn with what the user said, and the picture that went with it. */
  add(said: string, on: TurnLineEvents, picture?: HTMLCanvasElement): TurnView {
    this.#empty.hidden = true;
    const item = document.createElement("li");
    item.append(prompt(said, picture));
    const reply = document.createElement("div");
    reply.className = "reply";
    reply.dir = "auto";
    reply.append(speaker(t.parleySays));
    reply.hidden = true;
    const line = new TurnLine(on);
    item.append(reply, line.element);
    this.#list.append(item);
    this.#follow.begin(() => item.firstElementChild?.getBoundingClientRect());
    const view = this.#view(item, reply, line);
    this.#views.push(view);
    if (this.#views.length > mostTurns) this.#views.shift()?.remove();
    return view;
  }

  /** Takes all turns out. */
  clear(): void {
    for (const view of this.#views.splice(0)) view.remove();
    this.#empty.hidden = false;
  }

  #view(item: HTMLElement, reply: HTMLElement, line: TurnLine): TurnView {
    const view = new ReplyView(reply);
    const notes = new Set<string>();
    const add = (note: HTMLElement) => line.element.before(note);
    return {
      line,
      show: (whole) => {
        if (whole === view.source) return;
        reply.hidden = false;
        view.show(whole);
      },
      light: (heard) => {
        if (view.light(heard)) this.#follow.moved();
      },
      onPlace: (listener) => {
        reply.addEventListener("click", (event) => {
          const place = clickedPlace(view, event);
          if (place !== undefined) listener(place);
        });
      },
      note: (text) => {
        if (notes.has(text)) return;
        notes.add(text);
        add(paragraph("note", text));
      },
      offerAgain: (text, again) => {
        const note = paragraph("note", `${text} `);
        const button = document.createElement("button");
        button.type = "button";
        button.className = "text again";
        button.textContent = t.sendAgain;
        button.addEventListener("click", () => {
          button.remove();
          again();
        });
        note.append(button);
        add(note);
      },
      voice: (state) => {
        reply.setAttribute("data-voice", state);
        if (state === "live") this.#follow.begin(() => view.wordBox() ?? view.endBox());
        else view.close(state === "cut");
      },
      remove: () => {
        view.close(false);
        item.remove();
      },
    };
  }
}

/** The place of the text that was clicked: not a link, and not the end of a selection. */
function clickedPlace(view: ReplyView, { target, clientX, clientY }: MouseEvent) {
  if (target instanceof Element && target.closest("a")) return undefined;
  if (getSelection()?.isCollapsed === false) return undefined;
  return view.placeAt(clientX, clientY);
}

function prompt(said: string, picture?: HTMLCanvasElement): HTMLElement {
  const element = paragraph("said", said);
  element.prepend(speaker(t.youSay));
  if (!picture) return element;
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", t.attachedPicture);
  element.append(picture);
  return element;
}

// Eyes tell the speakers apart by where they stand.
function speaker(name: string): HTMLElement {
  const element = document.createElement("span");
  element.className = "visually-hidden";
  // So that the direction of the whole is that of what was said.
  element.dir = "ltr";
  element.textContent = `${name} `;
  return element;
}

function paragraph(className: string, text: string): HTMLElement {
  const element = document.createElement("p");
  element.className = className;
  element.dir = "auto";
  element.textContent = text;
  return element;
}
