import type { Follow } from "./follow.ts";
import { eachFrame } from "./page.ts";
import type { Panel } from "./panel.ts";
import type { Player } from "./player.ts";
import type { Recording } from "./recording.ts";
import type { Sound } from "./sound.ts";
import type { State } from "./surface.ts";
import type { Tabs } from "./tabs.ts";
import type { TurnView } from "./transcript.ts";
import type { Turn } from "./turn.ts";
import type { Playing } from "./voice.ts";
import type { Wave } from "./wave.ts";

/** The parts of the page that show a voice. */
export type ListeningStage = {
  readonly sound: Sound;
  readonly panel: Panel;
  readonly wave: Wave;
  readonly follow: Follow;
  readonly tabs: Tabs;
};

// Waking the sound takes the browser a moment; only after that is it being held back.
const wakingMs = 500;

/** Hearing one turn: while it comes in, and again later. Shows where the voice is. */
export class Listening {
  readonly #stage: ListeningStage;
  readonly #turn: Turn;
  /** Where it shows itself. */
  readonly view: TurnView;
  #playing: Playing | undefined;
  #live = true;
  /** The loudspeaker is being opened: nothing is heard yet. */
  #isOpening = false;
  /** Where the voice was left. */
  #left = 0;
  /** How much of the text a screen reader was given. */
  #announced = 0;
  #stopPainting: (() => void) | undefined;

  constructor(stage: ListeningStage, { turn, view }: { turn: Turn; view: TurnView }) {
    this.#stage = stage;
    this.#turn = turn;
    this.view = view;
  }

  /** True while its voice has the loudspeaker, also if it is paused. */
  get active(): boolean {
    return this.#playing?.active === true;
  }

  /** Shows the turn as it comes in, from now on. */
  watch(): void {
    this.view.voice("live");
    this.#stopPainting ??= eachFrame(() => this.#paint());
  }

  /** Opens the voice of a turn that comes in. */
  async open(signal: AbortSignal): Promise<Playing | undefined> {
    this.#isOpening = true;
    const player = await this.#stage.sound.player().finally(() => {
      this.#isOpening = false;
    });
    if (signal.aborted || !player) return undefined;
    return this.#begin(player, this.#turn.recording);
  }

  /** Plays from this sample on, or from where it was left. Settles when that is over. */
  async play(sample?: number): Promise<void> {
    if (this.#playing?.active) {
      if (sample !== undefined) await this.#seek(sample);
      else if (this.#playing.paused) await this.#playing.resume();
      return;
    }
    if (this.#live) return;
    const player = await this.#stage.sound.player();
    const { recording } = this.#turn;
    if (!player || recording.samples === 0) return;
    const from = sample ?? (this.#left < recording.samples ? this.#left : 0);
    const playing = this.#begin(player, recording, true);
    await this.#seek(from);
    this.watch();
    await playing.over;
    if (this.#playing !== playing) return;
    this.#paint();
    this.#settle("done");
  }

  /** Falls silent, and stays where it is. */
  pause(): void {
    this.#playing?.pause();
  }

  /** Gives the loudspeaker away. A turn that still comes in goes on without sound. */
  stop(): void {
    if (!this.active) return;
    this.#left = Math.round(this.#playing?.heardSamples() ?? 0);
    this.#stage.sound.opened?.stop();
    if (!this.#live) this.#settle("done");
  }

  /** The turn is over. */
  close(how: "done" | "cut"): void {
    this.#paint();
    this.#live = false;
    const { recording, timeline, text } = this.#turn;
    const whole = this.#playing === undefined || this.#playing.heardSamples() >= recording.samples;
    this.#left = whole ? 0 : Math.round(this.#playing?.heardSamples() ?? 0);
    recording.end();
    this.#settle(how);
    this.view.line.close({ text: text !== "", sound: recording.samples > 0, timeline });
  }

  #begin(player: Player, recording: Recording, whole = false): Playing {
    this.#playing = player.begin(recording, whole);
    this.#stage.tabs.claim();
    return this.#playing;
  }

  async #seek(sample: number): Promise<void> {
    this.#turn.captions.rewind();
    this.#stage.follow.now();
    await this.#playing?.seek(sample);
  }

  #settle(how: "done" | "cut"): void {
    this.#stopPainting?.();
    this.#stopPainting = undefined;
    const { recording } = this.#turn;
    this.view.voice(how);
    this.view.line.at(this.#left, recording.samples, false);
  }

  #paint(): void {
    const { text, captions, envelope, recording, timeline } = this.#turn;
    const playing = this.#playing;
    const sample = this.#sample();
    const heard = captions.heard(sample);
    this.view.show(text);
    this.#announce(text);
    this.view.light(heard);
    this.view.line.at(
      playing?.heardSamples() ?? 0,
      recording.samples,
      this.active && !playing?.paused,
    );
    if (playing?.startedAtMs !== undefined && this.#live) timeline.heardAt(playing.startedAtMs);
    if (this.#live) {
      timeline.buffering(playing?.buffering ?? false);
      this.#tell(heard.words);
    }
    // A turn that gave its voice to another goes on with its words alone.
    if (!this.active && (!this.#live || this.#stage.sound.opened?.busy)) return;
    this.#stage.wave.draw({ levels: envelope.levels, sample: playing?.heardSamples() ?? 0 });
    this.#stage.panel.set({ state: this.#state() });
  }

  /** Words that no voice speaks are a screen reader's. */
  #announce(text: string): void {
    const { panel } = this.#stage;
    const isSilent = panel.state === "muted" || panel.state === "text";
    if (!isSilent || !this.#live || text.length === this.#announced) return;
    panel.announce(text.slice(this.#announced), true);
    this.#announced = text.length;
  }

  // Where nothing sounds, all that came is there to be read.
  #sample(): number {
    const playing = this.#playing;
    if (playing)
      return playing.active || !this.#live ? playing.heardSamples() : playing.playedSamples;
    const isToCome = this.#turn.ttfaMs === undefined || this.#isOpening;
    return isToCome ? 0 : Number.POSITIVE_INFINITY;
  }

  #tell(wordsHeard: number): void {
    const { panel } = this.#stage;
    const { ttftMs = "", ttfaMs = "", bytes, recording, captions, timeline } = this.#turn;
    panel.set({
      ttft: ttftMs,
      ttfa: ttfaMs,
      firstSound: timeline.soundMs ?? "",
      bytes,
      receivedSamples: recording.samples,
      playedSamples: this.#playing?.playedSamples ?? 0,
      underruns: this.#playing?.underruns ?? 0,
      words: captions.words,
      wordsHeard,
    });
  }

  /** By what can be heard. */
  #state(): State {
    const { sound } = this.#stage;
    const playing = this.#playing;
    const { bytes, ttfaMs } = this.#turn;
    if (bytes === 0) return "connecting";
    if (ttfaMs === undefined || this.#isOpening) return "writing";
    if (!playing?.active) return "text";
    if (playing.paused) return "paused";
    if (!sound.opened?.audible) {
      const waitedMs = performance.now() - this.#turn.startedAtMs - ttfaMs;
      return waitedMs > wakingMs ? "held" : "writing";
    }
    if (playing.buffering) return "buffering";
    if (playing.startedAtMs === undefined) return "writing";
    return sound.silenced ? "muted" : "speaking";
  }
}
