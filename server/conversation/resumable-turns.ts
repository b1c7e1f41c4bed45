import { onAbort, TurnCancelled } from "../core/async.ts";
import { NotFound } from "../core/errors.ts";
import type { ActiveTurns } from "./active-turns-contract.ts";
import { type Kept, type KeptName, KeptTurns, type ResumeLimits } from "./kept-turns.ts";
import { readElsewhere } from "./read-elsewhere.ts";
import type { TurnChunk } from "./reply.ts";
import type { TurnListener } from "./turn.ts";
import type { DeviceTurnRequest } from "./turn-codec.ts";
import type { TurnPosition } from "./turn-position.ts";
import { type ResumableCounts, type Talk, TurnRunner } from "./turn-runner.ts";
import { isOfSession, openShared, type Sharing, takeShared } from "./turn-sharing.ts";

/** How much is kept, and who else knows of turns. */
export type ResumeOptions = ResumeLimits & {
  /** Absent if this instance runs alone. */
  readonly sharing?: Sharing | undefined;
};

/** Turns that can be resumed, for `/status`: those that are kept here, and what became of others. */
export type ResumableStatus = ReturnType<KeptTurns["size"]> & Readonly<ResumableCounts>;

/** If a session is named, the turn must belong to it. */
type PlayedSession = { readonly sessionId?: string };

type ReadFrom = { readonly after: number; readonly clientSignal: AbortSignal };

/**
 * Turns that go on for 30 s after their client's connection was lost. With `sharing` a client resumes at
 * any instance, and a turn whose instance is gone goes on at the one that is called.
 */
export class ResumableTurns {
  readonly #sharing: Sharing | undefined;
  readonly #kept: KeptTurns;
  readonly #runner: TurnRunner;
  readonly #counts: ResumableCounts = { takenOver: 0, moved: 0, stranded: 0 };

  constructor(
    talk: Talk,
    activeTurns: Pick<ActiveTurns, "find">,
    { sharing, ...limits }: ResumeOptions = {},
  ) {
    this.#sharing = sharing;
    this.#kept = new KeptTurns(limits);
    this.#runner = new TurnRunner({ talk, activeTurns, kept: this.#kept, counts: this.#counts });
  }

  status(): ResumableStatus {
    return { ...this.#kept.size(), ...this.#counts };
  }

  /** Runs a turn and yields its chunks, numbered. If another instance runs it, they come from there. */
  async *run(
    request: DeviceTurnRequest,
    clientSignal: AbortSignal,
    listener: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]> {
    if (clientSignal.aborted) throw new TurnCancelled("disconnected");
    const turn = this.#kept.add(request);
    if (this.#sharing) turn.isHere = this.#open(turn, this.#sharing, request);
    // It is listed at once: what comes later finds it.
    void this.#runner.pull(turn, request);
    if (turn.isHere && !(await turn.isHere)) {
      yield* this.#readElsewhere({ ...request, after: 0 }, clientSignal, listener);
      return;
    }
    // If its client left meanwhile, the turn waits for it.
    if (clientSignal.aborted) this.#kept.await(turn);
    yield* this.#read(turn, { after: 0, clientSignal }, listener);
  }

  /**
   * The rest of a turn, from its place on. Another client that still reads the turn is ended. Throws
   * `NotFound` if the device has no such turn, `OutOfRange` if its place is not kept, and a `RedisError` if
   * nobody can say.
   */
  async *resume(
    position: TurnPosition,
    clientSignal: AbortSignal,
    listener: TurnListener,
  ): AsyncGenerator<readonly TurnChunk[]> {
    const turn = this.#kept.find(position);
    if (turn && (!turn.isHere || (await turn.isHere))) {
      await turn.owned?.attach(position.after);
      yield* this.#read(turn, { after: position.after, clientSignal }, listener);
    } else {
      yield* this.#readElsewhere(position, clientSignal, listener);
    }
  }

  /** Whether a turn is running here, or can still be read here. */
  isKept(turn: KeptName): boolean {
    return this.#kept.find(turn) !== undefined;
  }

  /** The client has played so many samples of its turn. */
  confirm(name: KeptName, samples: number): void {
    const turn = this.#kept.find(name);
    if (!turn) return;
    turn.isReported = true;
    turn.buffer.confirm(samples);
  }

  /**
   * The same of a turn that another instance runs, which learns of it within 0.2 s. Resolves to whether
   * there is one.
   */
  async confirmElsewhere(name: KeptName & PlayedSession, samples: number): Promise<boolean> {
    if (!this.#sharing || this.#kept.find(name)) return false;
    const { turns } = this.#sharing;
    try {
      if (name.sessionId && !(await isOfSession(turns, name, name.sessionId))) return false;
      return await turns.report(name, samples);
    } catch {
      return false;
    }
  }

  /** An interrupt drops what is kept here of a device's turns that have ended: of those that it means. */
  drop(deviceId: string, isMeant: (turnId: string) => boolean): void {
    for (const turn of this.#kept.all()) {
      const isOver = turn.buffer.hasEnded() && !turn.buffer.isAttached();
      if (turn.deviceId !== deviceId || !isOver || !isMeant(turn.turnId)) continue;
      this.#runner.fail(turn, new TurnCancelled("interrupted"));
    }
  }

  /**
   * An interrupt drops what other instances could go on with of a device's turns: of all, or with `upTo` of
   * those that began no later than that one. Whoever runs one learns that it was interrupted. Resolves when
   * that is done, after 0.25 s at most.
   */
  async dropShared(deviceId: string, upTo?: string): Promise<void> {
    // Without Redis nobody else can go on with them.
    await this.#sharing?.turns.drop(deviceId, upTo).catch(() => undefined);
  }

  /** Drops everything. Other instances may go on with it. */
  stop(): void {
    for (const turn of this.#kept.all()) {
      turn.owned?.release();
      this.#kept.remove(turn);
    }
  }

  /** Begins a turn that other instances are to know. False if one of them has it already. */
  async #open(turn: Kept, sharing: Sharing, request: DeviceTurnRequest): Promise<boolean> {
    const opened = await openShared(sharing, request);
    if (opened.state === "owned")
      turn.owned = opened.own(() => turn.buffer.first, this.#runner.hear(turn));
    if (opened.state === "alone") this.#counts.stranded += 1;
    if (opened.state === "elsewhere") this.#kept.forget(turn);
    return opened.state !== "elsewhere";
  }

  async *#readElsewhere(position: TurnPosition, clientSignal: AbortSignal, listener: TurnListener) {
    if (!this.#sharing) throw new NotFound("this device has no such turn to resume");
    const takeUp = async (after: number) => {
      const turn = await this.#takeUp(position);
      return turn && this.#read(turn, { after, clientSignal }, listener);
    };
    yield* readElsewhere(this.#sharing.turns, position, { clientSignal, listener, takeUp });
  }

  /** Goes on with a turn whose instance is gone. Undefined if another does so. */
  async #takeUp(name: KeptName): Promise<Kept | undefined> {
    const continued = this.#sharing && (await takeShared(this.#sharing, name));
    if (!continued) return undefined;
    const { request, start, held, sessionId, isPartial, own } = continued;
    const turn = this.#kept.add(request, start);
    turn.owned = own(() => turn.buffer.first, this.#runner.hear(turn));
    turn.isPartial = isPartial;
    if (sessionId) turn.ids = { turnId: request.turnId, sessionId };
    this.#counts.takenOver += 1;
    void this.#runner.pull(turn, request, held);
    // The client that called may have left meanwhile.
    this.#kept.await(turn);
    return turn;
  }

  async *#read(turn: Kept, { after, clientSignal }: ReadFrom, listener: TurnListener) {
    let isUntold = after === 0;
    /** The first message has them, whenever it is sent. */
    const tellIds = () => {
      if (isUntold && turn.ids) listener.onBegin?.(turn.ids);
      isUntold = false;
    };
    // A revoked token ends the turn; a lost connection does not.
    const forget = onAbort(clientSignal, (reason) => {
      if (endsTurn(reason)) turn.left.abort(reason);
    });
    try {
      for await (const chunks of turn.buffer.read(after, clientSignal)) {
        tellIds();
        yield chunks;
      }
    } finally {
      forget();
    }
    tellIds();
    if (turn.isPartial) listener.onPartial?.();
    listener.onEnd?.({ isVerbatim: turn.isVerbatim, sequence: turn.buffer.last + 1 });
  }
}

function endsTurn(reason: unknown): boolean {
  return reason instanceof TurnCancelled && reason.reason !== "disconnected";
}
