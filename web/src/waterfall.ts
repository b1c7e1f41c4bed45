import { handover, t } from "./messages.ts";
import { seconds } from "./numbers.ts";
import type { Moment, Timeline } from "./timeline.ts";

/** A turn's moments as a list with bars, and its raw events with a button that copies them. */
export function waterfall(timeline: Timeline): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const list = document.createElement("ol");
  list.className = "waterfall";
  const { moments, raw } = timeline;
  const lastMs = Math.max(1, ...moments.map(({ atMs, forMs = 0 }) => atMs + forMs));
  list.append(row(t.asked, { atMs: 0 }, lastMs));
  for (const moment of moments) list.append(row(labelOf(moment), moment, lastMs));
  fragment.append(list, rawEvents(raw));
  return fragment;
}

function row(
  label: string,
  { atMs, forMs }: Pick<Moment, "atMs" | "forMs">,
  lastMs: number,
): HTMLElement {
  const item = document.createElement("li");
  const bar = document.createElement("span");
  bar.className = "bar";
  bar.style.setProperty("--from", String(atMs / lastMs));
  bar.style.setProperty("--long", String((forMs ?? 0) / lastMs));
  item.append(words("what", label), bar, words("when", t.secondsShort(seconds(atMs))));
  return item;
}

function labelOf({ kind, forMs = 0, source, note = "" }: Moment): string {
  if (kind === "handover" && source) return handover(source, true);
  if (kind === "gap") return t.gapOf(seconds(forMs));
  if (kind === "failure") return note;
  return { words: t.firstWordRow, sound: t.firstSoundRow, end: t.received, handover: "" }[kind];
}

function rawEvents(raw: string): HTMLElement {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = t.rawEvents;
  const text = document.createElement("pre");
  text.tabIndex = 0;
  text.setAttribute("aria-label", t.rawEvents);
  text.setAttribute("role", "region");
  text.textContent = raw;
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "text";
  copy.textContent = t.copyEvents;
  copy.addEventListener("click", () => {
    navigator.clipboard?.writeText(raw).then(() => {
      copy.textContent = t.copied;
    });
  });
  details.append(summary, text, copy);
  return details;
}

function words(className: string, text: string): HTMLElement {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}
