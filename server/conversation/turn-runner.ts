import { onAbort, TurnCancelled } from "../core/async.ts";
import { LimitExceeded } from "../core/errors.ts";
import type { ActiveTurns } from "./active-turns-contract.ts";
import type { Listening } from "./heard-turns.ts";
import type { Kept, KeptTurns } from "./kept-turns.ts";
import { type OwnerListener, TurnMoved } from "./owned-turn.ts";
import type { TurnChunk } from "./reply.ts";
import type { TurnListener } from "./turn.ts";
import type { TurnRequest } from "./turn-request.ts";

/** Runs a turn as `Conversation.talk` does. */
export type Talk = (
  request: TurnRequest,
  clientSignal: AbortSignal,
  listener: TurnListener,
) => AsyncIterable<readonly TurnChunk[]>;

/** What became of turns since the start. */
export type ResumableCounts = {
  /** Turns that went on here after their own instance was gone. */
  takenOver: number;
  /** Turns that another instance went on with. */
  moved: number;
  /** Turns that no other instance could take up, since Redis failed. */
  stranded: number;
};

type RunnerParts = {
  readonly talk: Talk;
  readonly activeTurns: Pick<ActiveTurns, "find">;
  readonly kept: KeptTurns;
  readonly counts: ResumableCounts;
};

/** Runs turns in the place of their clients. */
export class TurnRunner {
  readonly #talk: Talk;
  readonly #activeTurns: Pick<ActiveTurns, "find">;
  readonly #kept: KeptTurns;
  readonly #counts: ResumableCounts;

  constructor({ talk, activeTurns, kept, counts }: RunnerParts) {
    this.#talk = talk;
    this.#activeTurns = activeTurns;
    this.#kept = kept;
    this.#counts = counts;
  }

  /** Pulls the whole turn, whoever reads it, behind what was held back of it. */
  async pull(turn: Kept, request: TurnRequest, held: readonly TurnChunk[] = []): Promise<void> {
    const { buffer, left } = turn;
    try {
      if (held.length > 0) buffer.push((await turn.owned?.write(held)) ?? held);
      for await (const chunks of this.#talk(request, left.signal, this.#follow(turn))) {
        buffer.push(turn.owned ? await turn.owned.write(chunks) : chunks);
        this.#kept.makeRoom();
        await buffer.untilRoom();
      }
      buffer.end();
      turn.owned?.end();
    } catch (error) {
      buffer.fail(error);
      // One that is refused may fail before it is known whether it runs here.
      await turn.isHere;
      this.fail(turn, error);
    }
  }

  /** Hears what the turn says of itself. */
  #follow(turn: Kept): TurnListener {
    const { buffer, isVerbatim, isHere } = turn;
    const untilOwned = async () => {
      if (!(await isHere)) throw new TurnMoved();
    };
    return {
      ...(isHere && { untilOwned }),
      onBegin: (ids) => {
        turn.ids = ids;
        turn.owned?.note({ sessionId: ids.sessionId, isVerbatim });
      },
      onAdmitted: (signal) => {
        onAbort(signal, (reason) => {
          this.#reportPlayed(turn);
          this.fail(turn, reason);
        });
      },
      onPartial: () => {
        turn.isPartial = true;
        turn.owned?.note({ isPartial: true });
      },
      untilSent: async () => {
        if (turn.owned) buffer.push(await turn.owned.finish());
        await buffer.untilTaken();
      },
    };
  }

  /** What other instances do with a turn of this one. */
  hear(turn: Kept): OwnerListener {
    const { buffer, left } = turn;
    return {
      onReady: (chunks) => buffer.push(chunks),
      onReader: (taken) => buffer.followElsewhere(taken),
      onConfirmed: (first) => buffer.confirmBefore(first),
      onReport: (samples) => {
        turn.isReported = true;
        buffer.confirm(samples);
        this.#listeningOf(turn)
          ?.report(samples)
          .catch(() => undefined);
      },
      onLost: (reason) => {
        if (reason instanceof TurnMoved) this.#counts.moved += 1;
        this.fail(turn, reason);
        left.abort(reason);
      },
      onStranded: () => {
        this.#counts.stranded += 1;
      },
    };
  }

  #listeningOf({ ids, deviceId }: Kept): Listening | undefined {
    return ids && this.#activeTurns.find({ deviceId, turnId: ids.turnId });
  }

  /** How far a turn was heard of which its client did not get all. */
  #reportPlayed(turn: Kept): void {
    const samples = turn.buffer.playedOfPart();
    if (turn.isReported || samples === undefined) return;
    // What fails here is counted where rows are written.
    this.#listeningOf(turn)
      ?.report(samples)
      .catch(() => undefined);
  }

  /** The turn has failed, was cut, or goes on elsewhere. */
  fail(turn: Kept, error: unknown): void {
    const { buffer, owned } = turn;
    buffer.fail(error);
    // One that failed before it said anything may be asked for again.
    const isVoid = buffer.last === 0 && !isCancel(error, "interrupted");
    const isElsewhere = error instanceof TurnMoved || (owned && goesOnElsewhere(error));
    if (isVoid) owned?.forget();
    else if (isElsewhere) owned?.release();
    else owned?.end(error);
    if (isVoid || isElsewhere) this.#kept.forget(turn);
  }
}

/** This instance stops, or has no room for a turn of another: the turn itself has not failed. */
function goesOnElsewhere(error: unknown): boolean {
  return error instanceof LimitExceeded || isCancel(error, "shutdown");
}

function isCancel(error: unknown, reason: TurnCancelled["reason"]): boolean {
  return error instanceof TurnCancelled && error.reason === reason;
}
