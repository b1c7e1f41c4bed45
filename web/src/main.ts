import { Attachment } from "./attachment.ts";
import { Composer } from "./composer.ts";
import { keysDialog, protocolSwitch, volumeControls, wakeOnTouch } from "./controls.ts";
import { hardwareId } from "./device.ts";
import { Follow } from "./follow.ts";
import { canCompress } from "./gateway.ts";
import { askGateway, unknownGateway } from "./gateway-status.ts";
import { estimatedMbits, LineSpeed } from "./line-speed.ts";
import { t, translate } from "./messages.ts";
import { find } from "./page.ts";
import { Panel } from "./panel.ts";
import type { Screenshot } from "./screenshot.ts";
import { Sound } from "./sound.ts";
import { Kept } from "./store.ts";
import { isSounding } from "./surface.ts";
import { Tabs } from "./tabs.ts";
import { type Request, Talk } from "./talk.ts";
import { tokenGiven } from "./token.ts";
import { Transcript } from "./transcript.ts";
import { Views } from "./views.ts";
import { Wave } from "./wave.ts";
import { Who } from "./who.ts";

translate(document);

const panel = new Panel();
const wave = new Wave(find("#wave", HTMLCanvasElement));
const follow = new Follow();
const who = new Who();
const views = new Views();
const kept = new Kept();
const sound = new Sound((message) => {
  const note = find("#sound-note", HTMLElement);
  note.textContent = message ?? "";
  note.hidden = message === undefined;
  document.body.setAttribute("data-sound", message === undefined ? "on" : "off");
});
const device = hardwareId();
const line = new LineSpeed(estimatedMbits());
let gateway = unknownGateway;

const talk = new Talk({
  caller: () => ({
    hardwareId: device,
    sessionId: kept.sessionId,
    ...(who.voice && { voice: who.voice }),
  }),
  protocol: protocolSwitch(),
  sound,
  panel,
  transcript: new Transcript(follow),
  follow,
  wave,
  kept,
  tabs: new Tabs(),
  line,
  compressed: () => line.isSlow && gateway.audioFormats.includes("OPUS") && canCompress(),
  onSource: (source) => who.onSource(source),
});

let lastPrompt = kept.turns.at(-1)?.said;

function sendPrompt(said: string, picture?: Screenshot, atMs = performance.now()): void {
  lastPrompt = said;
  const screenshot = picture && { screenshot: picture.base64 };
  talk.send({ ask: { type: "prompt", prompt: toWire(said), ...screenshot }, said, picture, atMs });
}

/** Where no model is set up, what the user types is what is to be heard. */
function toWire(said: string): string {
  return gateway.hasModel || /^\s*say:/i.test(said) ? said : `say: ${said}`;
}

new Composer(new Attachment(), kept.draft, {
  send: sendPrompt,
  stop: (atMs) => talk.stop(atMs),
  interrupt: (atMs) => {
    if (isSounding(panel.state)) talk.stop(atMs);
  },
  draft: (text) => kept.setDraft(text),
  last: () => lastPrompt,
});

// The examples vanish with the first turn: the focus goes on to the prompt, except where that would
// bring up a keyboard on the screen.
function focusPrompt(): void {
  if (matchMedia("(pointer: fine)").matches) find("#prompt", HTMLElement).focus();
}

for (const example of document.querySelectorAll<HTMLElement>("[data-example]")) {
  example.addEventListener("click", () => {
    const text = example.textContent ?? "";
    sendPrompt(example.dataset["example"] === "model" ? text : `say: ${text}`);
    focusPrompt();
  });
}
find("#hello", HTMLButtonElement).addEventListener("click", () => {
  const request: Request = { ask: { type: "greeting", text: t.greeting }, said: t.sayHello };
  talk.send(request);
  focusPrompt();
});
find("#new-conversation", HTMLButtonElement).addEventListener("click", () => {
  find("#menu", HTMLElement).hidePopover();
  lastPrompt = undefined;
  talk.clear();
  focusPrompt();
});

keysDialog();
volumeControls(sound);
wakeOnTouch(sound);
panel.set({ state: "idle", turns: 0 });
talk.restore(kept.turns);
addEventListener("pagehide", () => talk.leave());
wave.draw(undefined, true);
addEventListener("resize", () => wave.draw(undefined, true));

async function learnGateway(): Promise<void> {
  gateway = await askGateway();
  who.know(gateway);
  views.offerCheck(gateway.analyses);
  if (!gateway.hasModel) showNoModel();
}

// A gateway that wants a token tells of itself once it has one.
addEventListener(tokenGiven, learnGateway);
await learnGateway();

function showNoModel(): void {
  find("#empty-title", HTMLElement).textContent = t.emptyTitleNoModel;
  find("#empty-text", HTMLElement).textContent = t.emptyTextNoModel;
  find("#prompt", HTMLTextAreaElement).placeholder = t.placeholderNoModel;
  for (const example of document.querySelectorAll<HTMLElement>('[data-example="model"]')) {
    example.hidden = true;
  }
}
