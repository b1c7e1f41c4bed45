import { Player, SoundUnavailable } from "./player.ts";
import { recall, remember } from "./remembered.ts";

/** An idle loudspeaker keeps the device awake: it rests after so long. */
const idleMs = 10_000;

/** The loudspeaker, opened when the page is first touched: browsers allow it no sooner. */
export class Sound {
  readonly #onTrouble: (message: string | undefined) => void;
  #opening: Promise<Player | undefined> | undefined;
  #opened: Player | undefined;
  #volume = storedVolume();
  #muted = recall("muted") === "true";
  #resting: ReturnType<typeof setTimeout> | undefined;
  #asleep = false;
  #deviceChanged = false;

  /** `onTrouble` is told why there is no sound, and undefined once there is again. */
  constructor(onTrouble: (message: string | undefined) => void) {
    this.#onTrouble = onTrouble;
    // Else an iPhone's switch for its bell silences the voice too.
    const { audioSession } = navigator as { audioSession?: { type: string } };
    if (audioSession) audioSession.type = "playback";
    navigator.mediaDevices?.addEventListener("devicechange", () => {
      this.#deviceChanged = true;
    });
  }

  /** The player once it is open. */
  get opened(): Player | undefined {
    return this.#opened?.failed ? undefined : this.#opened;
  }

  /** 0 to 1, and whether it is muted. Remembered in this browser. */
  get volume(): number {
    return this.#volume;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** True while nothing of what is played can be heard, by the user's own setting. */
  get silenced(): boolean {
    return this.#muted || this.#volume === 0;
  }

  /**
   * The player, or nothing where the browser has no sound for us: then text comes alone. One that was
   * lost, or that may be bound to a device that is gone, is replaced.
   */
  player(): Promise<Player | undefined> {
    if (this.#deviceChanged) this.#opened?.close();
    this.#deviceChanged = false;
    if (this.#opened?.failed) {
      this.#opened = undefined;
      this.#opening = undefined;
    }
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** To be called on every click and key press: sound that was held back starts. */
  wake(): void {
    if (this.#asleep) return;
    this.opened?.wake();
    if (!this.#opened) this.player();
  }

  /** A turn begins: the loudspeaker is made ready. */
  begin(): void {
    clearTimeout(this.#resting);
    this.#asleep = false;
    this.player().then((player) => player?.wake());
  }

  /** Nothing sounds any more: after a while the loudspeaker rests until the next turn. */
  rest(): void {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      this.#asleep = true;
      this.opened?.sleep();
    }, idleMs);
  }

  /** Sets how loud it is. */
  set(volume: number, muted: boolean): void {
    this.#volume = volume;
    this.#muted = muted;
    remember("volume", String(volume));
    remember("muted", String(muted));
    this.opened?.setVolume(muted ? 0 : volume);
  }

  async #open(): Promise<Player | undefined> {
    try {
      this.#opened = await Player.create();
      this.#opened.setVolume(this.#muted ? 0 : this.#volume);
      this.#onTrouble(undefined);
      return this.#opened;
    } catch (error) {
      if (!(error instanceof SoundUnavailable)) throw error;
      this.#onTrouble(error.message);
      // A device that comes back is found at the next turn.
      if ("AudioWorklet" in globalThis) this.#opening = undefined;
      return undefined;
    }
  }
}

function storedVolume(): number {
  const volume = Number(recall("volume") ?? 1);
  return volume > 0 && volume <= 1 ? volume : 1;
}
