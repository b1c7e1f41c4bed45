import type { Protocol } from "./gateway.ts";
import { find, isOverlayOpen } from "./page.ts";
import { recall, remember } from "./remembered.ts";
import type { Sound } from "./sound.ts";

/** Wires the switch of protocols. Returns how to ask which one is chosen. */
export function protocolSwitch(): () => Protocol {
  const connect = find("#protocol-connect", HTMLInputElement);
  const grpcWeb = find("#protocol-grpc-web", HTMLInputElement);
  const chosen = (): Protocol => (connect.checked ? "connect" : "grpc-web");
  connect.checked = recall("protocol") === "connect";
  grpcWeb.checked = !connect.checked;
  for (const radio of [connect, grpcWeb]) {
    radio.addEventListener("change", () => remember("protocol", chosen()));
  }
  return chosen;
}

/** Wires the loudness and the button that mutes. What was set comes back after a mute. */
export function volumeControls(sound: Sound): void {
  const mute = find("#mute", HTMLButtonElement);
  const volume = find("#volume", HTMLInputElement);
  let steady = sound.volume;
  const show = () => {
    mute.setAttribute("aria-pressed", String(sound.muted));
    volume.valueAsNumber = sound.muted ? 0 : sound.volume * 100;
  };
  mute.addEventListener("click", () => {
    sound.set(steady, !sound.muted);
    show();
  });
  // On its way down to nothing the slider passes all that is little: that is not what was set.
  volume.addEventListener("input", () => {
    const wanted = volume.valueAsNumber / 100;
    sound.set(wanted || steady, wanted === 0);
    mute.setAttribute("aria-pressed", String(sound.muted));
  });
  volume.addEventListener("change", () => {
    if (volume.valueAsNumber > 0) steady = volume.valueAsNumber / 100;
    show();
  });
  show();
}

/** Starts the sound on the page's first click or key press, and whenever it was held back. */
export function wakeOnTouch(sound: Sound): void {
  for (const kind of ["pointerup", "keydown"]) {
    document.addEventListener(kind, () => sound.wake(), { capture: true });
  }
}

/** Shows the list of keys: by its button, or by `?` where no text is being written. */
export function keysDialog(): void {
  const dialog = find("#keys", HTMLDialogElement);
  const open = () => {
    find("#menu", HTMLElement).hidePopover();
    if (!dialog.open) dialog.showModal();
  };
  find("#show-keys", HTMLButtonElement).addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    const { target } = event;
    const isWriting = target instanceof HTMLTextAreaElement && target.value !== "";
    if (event.key !== "?" || isWriting || isOverlayOpen()) return;
    event.preventDefault();
    open();
  });
}
