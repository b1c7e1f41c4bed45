import { onAbort, TurnCancelled } from "../core/async.ts";
import { NotFound } from "../core/errors.ts";
import type { ActiveTurns } from "./active-turns-contract.ts";
import type { TurnChunk } from "./reply.ts";
import { RESUME_GRACE_MS, type TurnIds, type TurnListener } from "./turn.ts";
import { TurnBuffer } from "./turn-buffer.ts";
import { turnKeyOf } from "./turn-names.ts";
import type { TurnPosition } from "./turn-position.ts";
import type { TurnRequest } from "./turn-request.ts";

/** Runs a turn as `Conversation.talk` does. */
type Talk = (
  request: TurnRequest,
  clientSignal: AbortSignal,
  listener: TurnListener,
) => AsyncIterable<readonly TurnChunk[]>;

/** How long a turn waits for its client, and how much all of them keep. */
export type ResumeLimits = {
  /** Milliseconds. 30 s if absent. */
  readonly graceMs?: number;
  /** Bytes that all turns keep. 256 MiB if absent. */
  readonly maxBytes?: number;
};

type Kept = {
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
};

type ReadFrom = { readonly after: number; readonly clientSignal: AbortSignal };
type TurnName = Pick<TurnPosition, "deviceId" | "turnId">;
type DeviceTurnRequest = TurnRequest & { readonly deviceId: string };

/** Turns that go on for 30 s after their client's connection was lost. */
export class ResumableTurns {
  readonly #talk: Talk;
  readonly #activeTurns: Pick<ActiveTurns, "find">;
  readonly #graceMs: number;
  readonly #maxBytes: number;
  /** Those that were detached first come first. */
  readonly #turns = new Map<string, Kept>();
  #bytes = 0;

  constructor(
    talk: Talk,
    activeTurns: Pick<ActiveTurns, "find">,
    { graceMs = RESUME_GRACE_MS, maxBytes = 256 * 1024 * 1024 }: ResumeLimits = {},
  ) {
    this.#talk = talk;
    this.#activeTurns = activeTurns;
    this.#graceMs = graceMs;
    this.#maxBytes = maxBytes;
  }

  /** Runs a turn and yields its chunks, numbered. */
  async *run(
    request: DeviceTurnRequest,
    clientSignal: AbortSignal,
    listener: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]> {
    if (clientSignal.aborted) throw new TurnCancelled("disconnected");
    const turn = this.#keep(request);
    void this.#pull(turn, request);
    yield* this.#read(turn, { after: 0, clientSignal }, listener);
  }

  /**
   * The rest of a turn, from its place on. Another client that still reads the turn is ended. Throws
   * `NotFound` if the device has no such turn, and `OutOfRange` if its place is not kept.
   */
  async *resume(
    position: TurnPosition,
    clientSignal: AbortSignal,
    listener: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]> {
    const turn = this.#find(position);
    if (!turn) throw new NotFound("this device has no such turn to resume");
    yield* this.#read(turn, { after: position.after, clientSignal }, listener);
  }

  /** Whether a turn is running, or can still be read. */
  isKept(turn: TurnName): boolean {
    return this.#find(turn) !== undefined;
  }

  /** The client has played so many samples of its turn. */
  confirm(name: TurnName, samples: number): void {
    const turn = this.#find(name);
    if (!turn) return;
    turn.isReported = true;
    turn.buffer.confirm(samples);
  }

  /** An interrupt drops what is kept of a device's turns that have ended: of those that it means. */
  drop(deviceId: string, isMeant: (turnId: string) => boolean): void {
    for (const turn of this.#turns.values()) {
      const isOver = turn.buffer.hasEnded() && !turn.buffer.isAttached();
      if (turn.deviceId !== deviceId || !isOver || !isMeant(turn.turnId)) continue;
      turn.buffer.fail(new TurnCancelled("interrupted"));
    }
  }

  /** Drops everything. */
  stop(): void {
    for (const turn of [...this.#turns.values()]) this.#remove(turn);
  }

  #find({ deviceId, turnId }: TurnName): Kept | undefined {
    return this.#turns.get(turnKeyOf(deviceId, turnId));
  }

  #keep({ deviceId, turnId, verbatim }: DeviceTurnRequest): Kept {
    const key = turnKeyOf(deviceId, turnId);
    const buffer = new TurnBuffer({
      onAttach: () => clearTimeout(turn.timer),
      onBytes: (change) => {
        this.#bytes += change;
      },
      onDetach: () => this.#await(turn),
    });
    const state = { isVerbatim: verbatim, isPartial: false, isReported: false };
    const turn: Kept = { key, deviceId, turnId, buffer, left: new AbortController(), ...state };
    this.#turns.set(key, turn);
    return turn;
  }

  /** Waits for a client. */
  #await(turn: Kept): void {
    // One that failed before it began, or that was removed.
    if (this.#turns.get(turn.key) !== turn) return;
    this.#turns.delete(turn.key);
    this.#turns.set(turn.key, turn);
    turn.timer = setTimeout(() => this.#remove(turn), this.#graceMs).unref();
  }

  /** Pulls the whole turn, whoever reads it. */
  async #pull(turn: Kept, request: TurnRequest): Promise<void> {
    const { buffer, left } = turn;
    const listener: TurnListener = {
      onBegin: (ids) => {
        turn.ids = ids;
      },
      onAdmitted: (signal) => {
        onAbort(signal, (reason) => {
          this.#reportPlayed(turn);
          this.#fail(turn, reason);
        });
      },
      onPartial: () => {
        turn.isPartial = true;
      },
      untilSent: () => buffer.untilTaken(),
    };
    try {
      for await (const chunks of this.#talk(request, left.signal, listener)) {
        buffer.push(chunks);
        this.#makeRoom();
        await buffer.untilRoom();
      }
      buffer.end();
    } catch (error) {
      this.#fail(turn, error);
    }
  }

  async *#read(turn: Kept, { after, clientSignal }: ReadFrom, listener: TurnListener) {
    // The first message has them, whenever it is sent.
    if (after === 0 && turn.ids) listener.onBegin?.(turn.ids);
    // A revoked token ends the turn; a lost connection does not.
    const forget = onAbort(clientSignal, (reason) => {
      if (endsTurn(reason)) turn.left.abort(reason);
    });
    try {
      yield* turn.buffer.read(after, clientSignal);
    } finally {
      forget();
    }
    if (turn.isPartial) listener.onPartial?.();
    listener.onEnd?.({ isVerbatim: turn.isVerbatim, sequence: turn.buffer.last + 1 });
  }

  /** How far a turn was heard of which its client did not get all. */
  #reportPlayed({ ids, deviceId, buffer, isReported }: Kept): void {
    const samples = buffer.playedOfPart();
    if (isReported || samples === undefined || !ids) return;
    const listening = this.#activeTurns.find({ deviceId, turnId: ids.turnId });
    // What fails here is counted where rows are written.
    listening?.report(samples).catch(() => undefined);
  }

  #fail(turn: Kept, error: unknown): void {
    const isInterrupted = error instanceof TurnCancelled && error.reason === "interrupted";
    turn.buffer.fail(error);
    // One that failed before it said anything may be asked for again.
    if (turn.buffer.last === 0 && !isInterrupted) this.#forget(turn);
  }

  #forget(turn: Kept): void {
    clearTimeout(turn.timer);
    if (this.#turns.get(turn.key) === turn) this.#turns.delete(turn.key);
  }

  #remove(turn: Kept): void {
    this.#forget(turn);
    turn.buffer.fail(new TurnCancelled("disconnected"));
    turn.left.abort();
  }

  /**
   * First go turns that have ended, then those that no client reads, the longest detached first; of the
   * others, what their clients have taken.
   */
  #makeRoom(): void {
    if (this.#bytes <= this.#maxBytes) return;
    const turns = [...this.#turns.values()];
    const detached = turns.filter(({ buffer }) => !buffer.isAttached());
    const ended = detached.filter(({ buffer }) => buffer.hasEnded());
    for (const turn of [...ended, ...detached, ...turns]) {
      if (this.#bytes <= this.#maxBytes) return;
      if (turn.buffer.isAttached()) turn.buffer.shed();
      else this.#remove(turn);
    }
  }
}

function endsTurn(reason: unknown): boolean {
  return reason instanceof TurnCancelled && reason.reason !== "disconnected";
}
