import { onAbort, TurnCancelled } from "../core/async.ts";
import { NotFound } from "../core/errors.ts";
import type { ActiveTurns } from "./active-turns.ts";
import type { TurnChunk } from "./reply.ts";
import { RESUME_GRACE_MS, type TurnIds, type TurnListener } from "./turn.ts";
import { createTurnBuffer, type TurnBuffer } from "./turn-buffer.ts";
import { turnKeyOf } from "./turn-names.ts";
import type { TurnPosition, TurnRequest } from "./turn-request.ts";

/** Runs a turn as `Conversation.talk` does. */
type Talk = (
  request: TurnRequest,
  clientSignal: AbortSignal,
  listener: TurnListener,
) => AsyncIterable<readonly TurnChunk[]>;

/** Turns that go on for 30 s after their client's connection was lost. */
export type ResumableTurns = {
  /** Runs a turn and yields its chunks, numbered. */
  run(
    request: TurnRequest & { readonly deviceId: string },
    clientSignal: AbortSignal,
    listener: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]>;
  /**
   * The rest of a turn, from its place on. Another client that still reads the turn is ended. Throws
   * `NotFound` if the device has no such turn, and `OutOfRange` if its place is not kept.
   */
  resume(
    position: TurnPosition,
    clientSignal: AbortSignal,
    listener: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]>;
  /** Whether a turn is running, or can still be read. */
  isKept(turn: Pick<TurnPosition, "deviceId" | "turnId">): boolean;
  /** The client has played so many samples of its turn. */
  confirm(turn: Pick<TurnPosition, "deviceId" | "turnId">, samples: number): void;
  /** An interrupt drops what is kept of a device's turns that have ended: of all, or of the one named. */
  drop(deviceId: string, upTo?: string): void;
  /** Drops everything. */
  stop(): void;
};

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

/** Makes the list of turns that can be resumed; none yet. */
export function createResumableTurns(
  talk: Talk,
  activeTurns: Pick<ActiveTurns, "find">,
  { graceMs = RESUME_GRACE_MS, maxBytes = 256 * 1024 * 1024 }: ResumeLimits = {},
): ResumableTurns {
  /** Those that were detached first come first. */
  const turns = new Map<string, Kept>();
  let bytes = 0;
  const remove = (turn: Kept) => {
    clearTimeout(turn.timer);
    if (turns.get(turn.key) === turn) turns.delete(turn.key);
    turn.buffer.fail(new TurnCancelled("disconnected"));
    turn.left.abort();
  };
  const keep = ({ deviceId, turnId, verbatim }: TurnRequest & { readonly deviceId: string }) => {
    const key = turnKeyOf(deviceId, turnId);
    const buffer = createTurnBuffer({
      onAttach: () => clearTimeout(turn.timer),
      onBytes: (change) => (bytes += change),
      onDetach() {
        // One that failed before it began.
        if (turns.get(key) !== turn) return;
        turns.delete(key);
        turns.set(key, turn);
        turn.timer = setTimeout(remove, graceMs, turn).unref();
      },
    });
    const state = { isVerbatim: verbatim, isPartial: false, isReported: false };
    const turn: Kept = { key, deviceId, buffer, left: new AbortController(), ...state };
    turns.set(key, turn);
    return turn;
  };
  /** How far a turn was heard of which its client did not get all. */
  const reportPlayed = ({ ids, deviceId, buffer, isReported }: Kept) => {
    const samples = buffer.playedOfPart();
    if (isReported || samples === undefined || !ids) return;
    const { turnId } = ids;
    // What fails here was counted where rows are written.
    activeTurns
      .find({ deviceId, turnId })
      ?.report(samples)
      .catch(() => undefined);
  };
  const fail = (turn: Kept, error: unknown) => {
    // One that failed before it said anything may be asked for again.
    const isForgotten = turn.buffer.last() === 0 && !isInterrupted(error);
    turn.buffer.fail(error);
    if (isForgotten && turns.get(turn.key) === turn) turns.delete(turn.key);
  };
  /** Pulls the whole turn, whoever reads it. */
  const pull = async (turn: Kept, request: TurnRequest) => {
    const listener: TurnListener = {
      onBegin: (ids) => (turn.ids = ids),
      onAdmitted(signal) {
        onAbort(signal, (reason) => {
          reportPlayed(turn);
          fail(turn, reason);
        });
      },
      onPartial: () => (turn.isPartial = true),
      untilSent: turn.buffer.untilTaken,
    };
    try {
      for await (const chunks of talk(request, turn.left.signal, listener)) {
        turn.buffer.push(chunks);
        if (bytes > maxBytes) makeRoom([...turns.values()], () => bytes <= maxBytes, remove);
        await turn.buffer.untilRoom();
      }
      turn.buffer.end();
    } catch (error) {
      fail(turn, error);
    }
  };
  async function* read(
    turn: Kept,
    { after, clientSignal }: { after: number; clientSignal: AbortSignal },
    listener: TurnListener,
  ) {
    // The first message has them, whenever it is sent.
    if (after === 0 && turn.ids) listener.onBegin?.(turn.ids);
    yield* turn.buffer.read(after, clientSignal);
    if (turn.isPartial) listener.onPartial?.();
    listener.onEnd?.({ isVerbatim: turn.isVerbatim, sequence: turn.buffer.last() + 1 });
  }
  const find = ({ deviceId, turnId }: Pick<TurnPosition, "deviceId" | "turnId">) =>
    turns.get(turnKeyOf(deviceId, turnId));
  return {
    async *run(request, clientSignal, listener) {
      if (clientSignal.aborted) throw new TurnCancelled("disconnected");
      const turn = keep(request);
      void pull(turn, request);
      yield* read(turn, { after: 0, clientSignal }, listener);
    },
    async *resume(position, clientSignal, listener) {
      const turn = find(position);
      if (!turn) throw new NotFound("this device has no such turn to resume");
      yield* read(turn, { after: position.after, clientSignal }, listener);
    },
    isKept: (turn) => find(turn) !== undefined,
    confirm(turn, samples) {
      const kept = find(turn);
      if (!kept) return;
      kept.isReported = true;
      kept.buffer.confirm(samples);
    },
    drop(deviceId, upTo) {
      const key = upTo === undefined ? undefined : turnKeyOf(deviceId, upTo);
      for (const turn of turns.values()) {
        const isMeant = turn.deviceId === deviceId && (key === undefined || turn.key === key);
        const isOver = turn.buffer.hasEnded() && !turn.buffer.isAttached();
        if (isMeant && isOver) turn.buffer.fail(new TurnCancelled("interrupted"));
      }
    },
    stop() {
      for (const turn of [...turns.values()]) remove(turn);
    },
  };
}

function isInterrupted(error: unknown): boolean {
  return error instanceof TurnCancelled && error.reason === "interrupted";
}

/**
 * Makes room until it `isEnough`. First go turns that have ended, then those that no client reads, the
 * longest detached first; of the others, what their clients have taken.
 */
function makeRoom(
  turns: readonly Kept[],
  isEnough: () => boolean,
  remove: (turn: Kept) => void,
): void {
  const detached = turns.filter(({ buffer }) => !buffer.isAttached());
  const ended = detached.filter(({ buffer }) => buffer.hasEnded());
  for (const turn of [...ended, ...detached, ...turns]) {
    if (isEnough()) return;
    if (turn.buffer.isAttached()) turn.buffer.shed();
    else remove(turn);
  }
}
