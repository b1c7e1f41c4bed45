import type { Protocol } from "./gateway.ts";
import { find } from "./page.ts";
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

/** Wires the loudness and the button that mutes. */
export function volumeControls(sound: Sound): void {
  const mute = find("#mute", HTMLButtonElement);
  const volume = find("#volume", HTMLInputElement);
  const show = () => {
    mute.setAttribute("aria-pressed", String(sound.muted));
    volume.valueAsNumber = sound.muted ? 0 : sound.volume * 100;
  };
  mute.addEventListener("click", () => {
    sound.set(sound.volume || 1, !sound.muted);
    show();
  });
  volume.addEventListener("input", () => {
    sound.set(volume.valueAsNumber / 100, volume.valueAsNumber === 0);
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
