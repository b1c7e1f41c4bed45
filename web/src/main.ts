import { Composer } from "./composer.ts";
import { protocolSwitch, volumeControls, wakeOnTouch } from "./controls.ts";
import { hardwareId, randomUuid } from "./device.ts";
import type { Ask } from "./gateway.ts";
import { find } from "./page.ts";
import { Panel } from "./panel.ts";
import { Sound } from "./sound.ts";
import { Talk } from "./talk.ts";
import { Transcript } from "./transcript.ts";
import { Wave } from "./wave.ts";

const greeting =
  "Hello! I am Parley. Ask me anything, and you will hear the answer while it is still being written.";

const panel = new Panel();
const wave = new Wave(find("#wave", HTMLCanvasElement));
const sound = new Sound((message) => {
  const note = find("#sound-note", HTMLElement);
  note.textContent = message;
  note.hidden = false;
  document.body.setAttribute("data-sound", "off");
});

const talk = new Talk({
  caller: { hardwareId: hardwareId(), sessionId: randomUuid() },
  protocol: protocolSwitch(),
  sound,
  panel,
  transcript: new Transcript(),
  wave,
});

new Composer({
  send: (prompt, picture) =>
    talk.send(
      { type: "prompt", prompt, ...(picture && { screenshot: picture.base64 }) },
      picture?.canvas,
    ),
  stop: (atMs) => talk.stop(atMs),
  refuse: (message) => panel.fail({ title: "The picture was not attached.", detail: message }),
});

// The examples vanish with the first turn: the focus goes on to the prompt, except where that would
// bring up a keyboard on the screen.
function sendExample(ask: Ask): void {
  talk.send(ask);
  if (matchMedia("(pointer: fine)").matches) find("#prompt", HTMLElement).focus();
}

for (const example of document.querySelectorAll("[data-example]")) {
  const prompt = example.getAttribute("data-example") ?? "";
  example.addEventListener("click", () => sendExample({ type: "prompt", prompt }));
}
const hello = find("#hello", HTMLButtonElement);
hello.addEventListener("click", () => sendExample({ type: "greeting", text: greeting }));

volumeControls(sound);
wakeOnTouch(sound);
panel.set({ state: "idle", turns: 0 });
wave.draw(undefined, true);
addEventListener("resize", () => wave.draw(undefined, true));
