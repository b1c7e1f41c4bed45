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

/** A pointer that moves so far takes its press back. */
const takenBackPx = 24;

/**
 * Keeps a press on the button where the page moves under the pointer: a reply that comes in pushes down
 * what stands below it, and the release falls on something else. Where the browser makes no click of
 * that although the pointer was captured, it is made here.
 */
export function holdPress(button: HTMLButtonElement): void {
  let pressed: PointerEvent | undefined;
  let owesClick = false;
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pressed = event;
    button.setPointerCapture(event.pointerId);
  });
  button.addEventListener("pointermove", ({ pointerId, clientX, clientY }) => {
    if (!pressed) return;
    const movedPx = Math.hypot(clientX - pressed.clientX, clientY - pressed.clientY);
    if (movedPx <= takenBackPx) return;
    pressed = undefined;
    button.releasePointerCapture(pointerId);
  });
  button.addEventListener("pointerup", () => {
    if (!pressed) return;
    pressed = undefined;
    owesClick = true;
    setTimeout(() => {
      if (owesClick) button.click();
    });
  });
  button.addEventListener("pointercancel", () => {
    pressed = undefined;
  });
  button.addEventListener("click", () => {
    owesClick = false;
  });
}
