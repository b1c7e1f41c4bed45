/** Finds an element that index.html is sure to have. Throws if the two do not fit together. */
export function find<T extends Element>(selector: string, kind: abstract new () => T): T {
  const element = document.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} "${selector}"`);
  return element;
}

/** Calls `paint` with every picture that the browser draws. Returns how to end that. */
export function eachFrame(paint: () => void): () => void {
  let frame = requestAnimationFrame(function next() {
    frame = requestAnimationFrame(next);
    paint();
  });
  return () => cancelAnimationFrame(frame);
}

/** Whether a menu or a dialog lies over the page: Esc closes that, and nothing else. */
export function isOverlayOpen(): boolean {
  return document.querySelector(":popover-open, dialog[open]") !== null;
}
