import { type Ask, type Caller, openReply, type Protocol } from "./gateway.ts";
import { eachFrame } from "./page.ts";
import type { Panel } from "./panel.ts";
import type { Player, Playing } from "./player.ts";
import type { Sound } from "./sound.ts";
import { freshTurn } from "./surface.ts";
import type { Transcript, TurnView } from "./transcript.ts";
import { createTurn, runTurn, type Turn } from "./turn.ts";
import type { Wave } from "./wave.ts";

/** The parts of the page that a turn shows itself in. */
export type Stage = {
  readonly caller: Caller;
  readonly protocol: () => Protocol;
  readonly sound: Sound;
  readonly panel: Panel;
  readonly transcript: Transcript;
  readonly wave: Wave;
};

type Current = { readonly controller: AbortController; readonly view: TurnView };

// Waking the sound takes the browser a moment; only after that is it being held back.
const wakingMs = 500;

/** Runs one turn at a time; the next one cuts off the one before. */
export class Talk {
  readonly #stage: Stage;
  #current: Current | undefined;
  #turns = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Sends what the user asks and plays the reply. Settles when the turn is over. Never throws. */
  async send(ask: Ask, picture?: HTMLCanvasElement): Promise<void> {
    this.#cut(performance.now());
    const { panel, transcript, caller, protocol, sound } = this.#stage;
    const controller = new AbortController();
    const said = ask.type === "prompt" ? ask.prompt : "Say hello";
    const current = { controller, view: transcript.add(said, picture) };
    this.#current = current;
    panel.clear();
    panel.set({ ...freshTurn, turns: ++this.#turns });
    sound.wake();
    const events = openReply(ask, { protocol: protocol(), caller }, controller.signal);
    await this.#run(current, events);
  }

  /** Ends the turn and silences it. `atMs` is when the user asked, by the page's clock. */
  stop(atMs: number): void {
    if (!this.#current) return;
    this.#cut(atMs);
    this.#stage.panel.set({ state: "idle" });
    this.#stage.panel.say("Stopped");
    this.#stage.wave.draw(undefined, true);
  }

  async #run({ controller, view }: Current, events: ReturnType<typeof openReply>): Promise<void> {
    const { signal } = controller;
    const { panel, sound } = this.#stage;
    const turn = createTurn();
    const paint = () => this.#paint(turn, view, signal);
    const stopPainting = eachFrame(paint);
    const openVoice = async () => begin(await sound.player(), signal);
    const failure = await runTurn(turn, events, openVoice);
    if (failure && !signal.aborted) panel.fail(failure);
    if (!failure?.silence) await turn.playing?.over;
    stopPainting();
    if (signal.aborted) return;
    paint();
    this.#finish(view, failure !== undefined, turn.bytes > 0);
  }

  #finish(view: TurnView, failed: boolean, begun: boolean): void {
    const { panel, sound, wave } = this.#stage;
    this.#current = undefined;
    if (failed) sound.opened?.stop();
    view.close(failed ? (begun ? "Not complete" : "No reply") : undefined);
    wave.draw(undefined, true);
    panel.set({ state: failed ? "error" : "idle" });
  }

  #cut(atMs: number): void {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    current.controller.abort();
    current.view.close("Stopped");
    const { panel, sound } = this.#stage;
    panel.set({ stoppedAt: atMs, silentAt: "" });
    const silent = sound.opened?.stop() ?? Promise.resolve();
    silent.then(() => panel.set({ silentAt: performance.now() }));
  }

  #paint(turn: Turn, view: TurnView, signal: AbortSignal): void {
    if (signal.aborted) return;
    const { panel, wave, sound } = this.#stage;
    const { playing, captions, envelope } = turn;
    const sample = playing?.heardSamples() ?? 0;
    const heard = captions.heard(sample);
    view.show(turn.text);
    view.light(heard);
    wave.draw({ levels: envelope.levels, sample });
    if (turn.bytes > 0) panel.set({ state: "speaking" });
    panel.set({
      ttft: turn.ttftMs ?? "",
      ttfa: turn.ttfaMs ?? "",
      bytes: turn.bytes,
      receivedSamples: playing?.receivedSamples ?? 0,
      playedSamples: playing?.playedSamples ?? 0,
      underruns: playing?.underruns ?? 0,
      words: captions.words,
      wordsHeard: heard.words,
    });
    const voiceMs = performance.now() - turn.startedAtMs - (turn.ttfaMs ?? 0);
    if (playing) panel.soundHeld(!sound.opened?.audible && voiceMs > wakingMs);
  }
}

function begin(player: Player | undefined, signal: AbortSignal): Playing | undefined {
  return signal.aborted ? undefined : player?.begin();
}
