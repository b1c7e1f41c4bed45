import { Player, SoundUnavailable } from "./player.ts";
import { recall, remember } from "./remembered.ts";

/** The loudspeaker, opened when the page is first touched: browsers allow it no sooner. */
export class Sound {
  readonly #onTrouble: (message: string) => void;
  #opening: Promise<Player | undefined> | undefined;
  #opened: Player | undefined;
  #volume = Math.min(1, Number(recall("volume") ?? 1) || 0);
  #muted = recall("muted") === "true";

  /** `onTrouble` is told, once, why there is no sound. */
  constructor(onTrouble: (message: string) => void) {
    this.#onTrouble = onTrouble;
  }

  /** The player once it is open. */
  get opened(): Player | undefined {
    return this.#opened;
  }

  /** 0 to 1, and whether it is muted. Remembered in this browser. */
  get volume(): number {
    return this.#volume;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** The player, or nothing where the browser has no sound for us: then text comes alone. */
  player(): Promise<Player | undefined> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** To be called on every click and key press: sound that was held back starts. */
  wake(): void {
    this.#opened?.wake();
    this.player();
  }

  /** Sets how loud it is. */
  set(volume: number, muted: boolean): void {
    this.#volume = volume;
    this.#muted = muted;
    remember("volume", String(volume));
    remember("muted", String(muted));
    this.#opened?.setVolume(muted ? 0 : volume);
  }

  async #open(): Promise<Player | undefined> {
    try {
      this.#opened = await Player.create();
      this.#opened.setVolume(this.#muted ? 0 : this.#volume);
      return this.#opened;
    } catch (error) {
      if (!(error instanceof SoundUnavailable)) throw error;
      this.#onTrouble(error.message);
      return undefined;
    }
  }
}
