import { TurnCancelled } from "../core/async.ts";
import type { NumberedStart } from "./numbered-chunks.ts";
import type { OwnedTurn } from "./owned-turn.ts";
import { RESUME_GRACE_MS, type TurnIds } from "./turn.ts";
import { TurnBuffer } from "./turn-buffer.ts";
import type { DeviceTurnRequest } from "./turn-codec.ts";
import { turnKeyOf } from "./turn-names.ts";
import type { TurnPosition } from "./turn-position.ts";

/** How long a turn waits for its client, and how much all of them keep. */
export type ResumeLimits = {
  /** Milliseconds. 30 s if absent. */
  readonly graceMs?: number;
  /** Bytes that all turns keep. 256 MiB if absent. */
  readonly maxBytes?: number;
};

/** A turn that can be resumed. */
export type Kept = {
  readonly key: string;
  readonly deviceId: string;
  readonly turnId: string;
  readonly isVerbatim: boolean;
  readonly buffer: TurnBuffer;
  /** Fires when nobody has read the turn for too long. */
  readonly left: AbortController;
  ids?: TurnIds;
  isPartial: boolean;
  /** The client says itself how far it has played. */
  isReported: boolean;
  timer?: NodeJS.Timeout;
  /** Set if other instances know it. */
  owned?: OwnedTurn;
  /** Resolves to whether it runs here, once that is known. Absent: it does. */
  isHere?: Promise<boolean>;
};

/** A turn by its names. */
export type KeptName = Pick<TurnPosition, "deviceId" | "turnId">;

/** The turns that can be resumed here, for as long as they wait for their clients. */
export class KeptTurns {
  readonly #graceMs: number;
  readonly #maxBytes: number;
  /** Those that were detached first come first. */
  readonly #turns = new Map<string, Kept>();
  #bytes = 0;

  constructor({ graceMs = RESUME_GRACE_MS, maxBytes = 256 * 1024 * 1024 }: ResumeLimits) {
    this.#graceMs = graceMs;
    this.#maxBytes = maxBytes;
  }

  /** How many there are, and the bytes that they keep, about. */
  size(): { readonly kept: number; readonly bytes: number } {
    return { kept: this.#turns.size, bytes: this.#bytes };
  }

  all(): readonly Kept[] {
    return [...this.#turns.values()];
  }

  find({ deviceId, turnId }: KeptName): Kept | undefined {
    return this.#turns.get(turnKeyOf(deviceId, turnId));
  }

  add({ deviceId, turnId, verbatim }: DeviceTurnRequest, start?: NumberedStart): Kept {
    const key = turnKeyOf(deviceId, turnId);
    const listener = {
      onAttach: () => clearTimeout(turn.timer),
      onBytes: (change: number) => {
        this.#bytes += change;
      },
      onDetach: () => this.await(turn),
    };
    const buffer = new TurnBuffer(listener, start);
    const state = { isVerbatim: verbatim, isPartial: false, isReported: false };
    const turn: Kept = { key, deviceId, turnId, buffer, left: new AbortController(), ...state };
    this.#turns.set(key, turn);
    return turn;
  }

  /** Waits for a client from now on. */
  await(turn: Kept): void {
    // One that failed before it began, or that was removed.
    if (this.#turns.get(turn.key) !== turn) return;
    this.#turns.delete(turn.key);
    this.#turns.set(turn.key, turn);
    clearTimeout(turn.timer);
    turn.timer = setTimeout(() => this.remove(turn), this.#graceMs).unref();
  }

  /** The turn is not to be found any more. What it keeps goes with it. */
  forget(turn: Kept): void {
    clearTimeout(turn.timer);
    turn.buffer.confirmBefore(turn.buffer.last + 1);
    if (this.#turns.get(turn.key) === turn) this.#turns.delete(turn.key);
  }

  /** Ends the turn, since its client has left, or to make room. */
  remove(turn: Kept): void {
    turn.owned?.forget();
    this.forget(turn);
    turn.buffer.fail(new TurnCancelled("disconnected"));
    turn.left.abort();
  }

  /**
   * First go turns that have ended, then those that no client reads, the longest detached first; of the
   * others, what their clients have taken.
   */
  makeRoom(): void {
    if (this.#bytes <= this.#maxBytes) return;
    const turns = this.all();
    const detached = turns.filter(({ buffer }) => !buffer.isAttached());
    const ended = detached.filter(({ buffer }) => buffer.hasEnded());
    for (const turn of [...ended, ...detached, ...turns]) {
      if (this.#bytes <= this.#maxBytes) return;
      if (turn.buffer.isAttached()) turn.buffer.shed();
      else this.remove(turn);
    }
  }
}
