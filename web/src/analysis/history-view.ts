import { locale, t } from "../messages.ts";
import { share } from "../numbers.ts";
import { find } from "../page.ts";
import { isOver, type Task } from "./client.ts";

/** What the user does with the list. */
export type HistoryActions = {
  open(task: Task): void;
  remove(task: Task): void;
  removeAll(): void;
  more(): void;
};

const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

/** The device's earlier analyses, the latest first. */
export class HistoryView {
  readonly #section = find("#analysis-history", HTMLElement);
  readonly #list = find("#analysis-list", HTMLElement);
  readonly #more = find("#analysis-more", HTMLButtonElement);
  readonly #actions: HistoryActions;

  constructor(actions: HistoryActions) {
    this.#actions = actions;
    this.#more.addEventListener("click", () => actions.more());
    find("#analysis-clear", HTMLButtonElement).addEventListener("click", () => {
      if (confirm(t.deleteAllQuestion)) actions.removeAll();
    });
  }

  /** Shows these. `hasMore`: older ones can be asked for. */
  show(tasks: readonly Task[], hasMore: boolean): void {
    this.#section.hidden = tasks.length === 0;
    this.#more.hidden = !hasMore;
    this.#list.replaceChildren(...tasks.map((task) => this.#row(task)));
  }

  #row(task: Task): HTMLElement {
    const open = button(task.filename, () => this.#actions.open(task));
    open.className = "text";
    const about = document.createElement("span");
    about.textContent = [dates.format(new Date(task.created_at)), outcomeOf(task)].join(" · ");
    const remove = button(t.deleteOne, () => this.#actions.remove(task));
    remove.className = "text";
    remove.setAttribute("aria-label", t.deleteNamed(task.filename));
    const item = document.createElement("li");
    item.append(open, about, remove);
    return item;
  }
}

function outcomeOf(task: Task): string {
  const { result, status } = task;
  if (!isOver(task)) return t.analysisRuns;
  if (status !== "COMPLETED") return t.failed;
  if (typeof result?.mean !== "number") return t.noScore;
  return `${t.verdicts[result.verdict]}, ${share(result.mean)}`;
}

function button(text: string, act: () => void): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}
