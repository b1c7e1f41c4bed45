import { randomUuid } from "./device.ts";
import type { Failure } from "./failure.ts";
import type { Follow } from "./follow.ts";
import { type Ask, type Caller, openReply, type Protocol, type ReplySource } from "./gateway.ts";
import type { LineSpeed } from "./line-speed.ts";
import { Listening } from "./listening.ts";
import { t } from "./messages.ts";
import type { Panel } from "./panel.ts";
import type { Screenshot } from "./screenshot.ts";
import type { Sound } from "./sound.ts";
import type { Kept, KeptTurn } from "./store.ts";
import { freshTurn } from "./surface.ts";
import type { Tabs } from "./tabs.ts";
import type { Transcript, TurnView } from "./transcript.ts";
import { createTurn, runTurn, type Turn } from "./turn.ts";
import { withoutSound } from "./turn-line.ts";
import { noteOf, notesOfSource } from "./turn-notes.ts";
import type { Wave } from "./wave.ts";

/** The parts of the page that a turn shows itself in. */
export type Stage = {
  readonly caller: () => Caller;
  readonly protocol: () => Protocol;
  readonly sound: Sound;
  readonly panel: Panel;
  readonly transcript: Transcript;
  readonly follow: Follow;
  readonly wave: Wave;
  readonly kept: Kept;
  readonly tabs: Tabs;
  readonly line: LineSpeed;
  /** Whether the sound is to come compressed. */
  readonly compressed: () => boolean;
  /** Whose words and voice these are, whenever that becomes known. */
  onSource(source: ReplySource): void;
};

/** What the user asks, and what of it is shown. */
export type Request = {
  readonly ask: Ask;
  readonly said: string;
  readonly picture?: Screenshot | undefined;
  /** When the user sent it, by the page's clock: now if absent. */
  readonly atMs?: number;
};

type Current = {
  readonly controller: AbortController;
  readonly view: TurnView;
  readonly turn: Turn;
  readonly request: Request;
  readonly listening: Listening;
};

/** Runs one turn at a time; the next one cuts off the one before. */
export class Talk {
  readonly #stage: Stage;
  #current: Current | undefined;
  /** What sounds, or sounded last: the current turn, or an older one that is played again. */
  #listening: Listening | undefined;
  #turns = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    // Two tabs do not talk over each other: here the words go on, and the sound can be played later.
    stage.tabs.onOther(() => this.#yieldVoice());
  }

  /** Sends what the user asks and plays the reply. Settles when the turn is over. Never throws. */
  async send(request: Request): Promise<void> {
    this.#cut(performance.now());
    this.#listening?.stop();
    const { panel, caller, protocol, sound } = this.#stage;
    const current = this.#open(request);
    this.#current = current;
    this.#listening = current.listening;
    panel.clear();
    panel.set({ ...freshTurn, turns: ++this.#turns });
    sound.begin();
    const compressed = this.#stage.compressed();
    const how = { protocol: protocol(), caller: caller(), turnId: randomUuid(), compressed };
    await this.#run(current, openReply(request.ask, how, current.controller.signal), compressed);
  }

  /** Ends the turn and silences it. `atMs` is when the user asked, by the page's clock. */
  stop(atMs: number): void {
    if (this.#current) {
      this.#cut(atMs);
    } else if (this.#listening?.active) {
      this.#listening.stop();
    } else return;
    this.#stage.panel.set({ state: "idle" });
    this.#stage.panel.say(t.stopped);
    this.#rest();
  }

  /** Forgets the conversation, on the page and in this browser. */
  clear(): void {
    this.stop(performance.now());
    const { transcript, panel, kept } = this.#stage;
    transcript.clear();
    kept.clear();
    panel.clear();
    panel.set({ state: "idle" });
  }

  /** Keeps what there is of the current turn, and ends it: the page is about to go. */
  leave(): void {
    if (!this.#current) return;
    this.#keep(this.#current, t.stopped);
    this.#current.controller.abort();
  }

  /** Shows the turns of this tab's last visit. Their sound is gone. */
  restore(turns: readonly KeptTurn[]): void {
    for (const { said, text, note } of turns) {
      const view: TurnView = this.#stage.transcript.add(said, {
        ...withoutSound,
        copy: () => this.#copy(view, text),
      });
      if (text) view.show(text);
      view.voice("done");
      if (note) view.note(note);
      view.line.close({ text: text !== "", sound: false });
    }
    this.#stage.follow.end();
  }

  #open(request: Request): Current {
    const turn = createTurn(request.atMs);
    const view: TurnView = this.#stage.transcript.add(
      request.said,
      {
        play: () => this.#play(listening),
        pause: () => listening.pause(),
        seek: (sample) => this.#play(listening, sample),
        copy: () => this.#copy(view, turn.text),
        file: () => turn.recording.file,
      },
      request.picture?.canvas,
    );
    const listening: Listening = new Listening(this.#stage, { turn, view });
    view.onPlace((place) => {
      const sample = turn.captions.sampleAt(place);
      if (sample !== undefined && turn.recording.samples > 0) this.#play(listening, sample);
    });
    return { controller: new AbortController(), view, turn, request, listening };
  }

  async #run(
    current: Current,
    events: ReturnType<typeof openReply>,
    compressed: boolean,
  ): Promise<void> {
    const { turn, view, listening, controller } = current;
    const { signal } = controller;
    listening.watch();
    const failure = await runTurn(turn, events, {
      openVoice: () => listening.open(signal),
      onSource: (source, before) => {
        if (signal.aborted) return;
        this.#stage.onSource(source);
        for (const note of notesOfSource(source, before)) view.note(note);
      },
    });
    if (signal.aborted) return;
    if (!compressed) this.#stage.line.note(turn);
    if (failure?.kind === "failed") this.#stage.panel.fail(failure);
    if (failure?.kind === "interrupted") this.#stage.sound.opened?.stop();
    else await turn.playing?.over;
    if (signal.aborted) return;
    this.#finish(current, failure);
  }

  #finish(current: Current, failure: Failure | undefined): void {
    const { panel } = this.#stage;
    const { turn, view, listening, request } = current;
    this.#current = undefined;
    const failed = failure?.kind === "failed";
    if (failed) this.#stage.sound.opened?.stop();
    const isCut = failed || failure?.kind === "interrupted";
    const note = noteOf(turn, failure);
    if (failed && note)
      view.offerAgain(note, () => this.send({ ...request, atMs: performance.now() }));
    else if (note) view.note(note);
    listening.close(isCut ? "cut" : "done");
    const sounds = this.#listening !== listening && this.#listening?.active;
    if (!sounds) panel.set({ state: failed ? "error" : isCut ? "interrupted" : "idle" });
    this.#keep(current, note);
    this.#rest();
  }

  #cut(atMs: number): void {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    const { panel, sound } = this.#stage;
    panel.set({ stoppedAt: atMs, silentAt: "" });
    // First of all: the user waits for silence.
    const silent = sound.opened?.stop() ?? Promise.resolve();
    silent.then(() => panel.set({ silentAt: performance.now() }));
    current.controller.abort();
    current.turn.timeline.end(t.stopped);
    current.view.note(t.stopped);
    current.listening.close("cut");
    this.#keep(current, t.stopped);
  }

  /** Plays a turn from this sample on, or from where it was left. */
  async #play(listening: Listening, sample?: number): Promise<void> {
    if (this.#listening !== listening) this.#listening?.stop();
    this.#listening = listening;
    this.#stage.sound.begin();
    await listening.play(sample);
    if (this.#listening !== listening || this.#current || listening.active) return;
    this.#stage.panel.set({ state: "idle" });
    this.#rest();
  }

  #yieldVoice(): void {
    if (!this.#listening?.active) return;
    this.#listening.stop();
    this.#listening.view.note(t.otherTab);
    if (!this.#current) this.#stage.panel.set({ state: "idle" });
  }

  #copy(view: TurnView, text: string): void {
    navigator.clipboard?.writeText(text).then(
      () => {
        view.line.copied();
        this.#stage.panel.announce(t.copied);
      },
      () => undefined,
    );
  }

  #keep({ turn, request }: Current, note: string | undefined): void {
    this.#stage.kept.add({ said: request.said, text: turn.text, ...(note && { note }) });
  }

  #rest(): void {
    const { wave, sound, follow } = this.#stage;
    if (this.#listening?.active) return;
    wave.draw(undefined, true);
    follow.end();
    sound.rest();
    // The browser keeps a record of each request, and nothing here reads them.
    performance.clearResourceTimings();
  }
}
