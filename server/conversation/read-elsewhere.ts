import { setTimeout as sleep } from "node:timers/promises";
import type { Attached, Followed, SharedTurns } from "../cluster/shared-turns-contract.ts";
import { onAbort, TurnCancelled, throwIfAborted } from "../core/async.ts";
import { NotFound, OutOfRange } from "../core/errors.ts";
import type { TurnChunk } from "./reply.ts";
import type { TurnListener } from "./turn.ts";
import { decodeChunk, decodeEnd } from "./turn-codec.ts";
import type { TurnPosition } from "./turn-position.ts";
import type { Progress } from "./turn-progress.ts";
import { readProgress } from "./turn-sharing.ts";

/** How often a reader that has all there is asks for more. */
const POLL_MS = 20;
/** How long Redis may fail a reader before the reader fails. */
const PATIENCE_MS = 1000;
const RETRY_MS = 100;

/** Who reads a turn of another instance. */
type Reader = {
  readonly clientSignal: AbortSignal;
  readonly listener: TurnListener;
  /**
   * The instance of the turn is gone: takes it up, and reads on here behind this number. Undefined if
   * another instance took it.
   */
  readonly takeUp: (after: number) => Promise<AsyncIterable<readonly TurnChunk[]> | undefined>;
};

/**
 * The chunks of a turn that another instance runs, behind its client's place. Throws `NotFound` if there
 * is no such turn, `OutOfRange`, what ended the turn, and a `RedisError`.
 */
export async function* readElsewhere(
  turns: SharedTurns,
  { after, ...name }: TurnPosition,
  { clientSignal, listener, takeUp }: Reader,
): AsyncGenerator<readonly TurnChunk[]> {
  const token = tokenOf(await turns.attach(name, after));
  const forget = onAbort(clientSignal, () => void turns.detach(name, token).catch(() => undefined));
  const read = (at: number) => patiently(() => turns.follow(name, token, at), clientSignal);
  let at = after;
  try {
    for (;;) {
      const step = stepOf(await read(at));
      if (step.type === "chunks") {
        if (at === 0) tellBegin(await progressOf(turns, name), name, listener);
        yield step.chunks;
        at += step.chunks.length;
      } else if (step.type === "end") {
        tellEnd(await progressOf(turns, name), at, listener);
        return;
      } else {
        const rest = step.type === "orphan" && (await takeUp(at));
        if (rest) return yield* rest;
        await wait(POLL_MS, clientSignal);
      }
    }
  } finally {
    forget();
  }
}

type Step =
  | { readonly type: "chunks"; readonly chunks: readonly TurnChunk[] }
  /** The turn has ended well; nothing is left; the instance that runs it is gone. */
  | { readonly type: "end" | "nothing" | "orphan" };

/** What a reader found. Throws if the turn has failed, or is not its any more. */
function stepOf(found: Followed): Step {
  if (found.state === "replaced") throw new TurnCancelled("disconnected");
  if (found.state !== "ok") throw lossOf(found.state);
  const end = found.end === "" ? undefined : decodeEnd(found.end);
  if (end?.error instanceof TurnCancelled) throw end.error;
  if (found.chunks.length > 0) {
    const chunks = found.chunks.map(({ sequence, bytes }) => ({ ...decodeChunk(bytes), sequence }));
    return { type: "chunks", chunks };
  }
  if (end?.error) throw end.error;
  if (end) return { type: "end" };
  return { type: found.isOwned ? "nothing" : "orphan" };
}

/** Calls again if it fails, for a while. */
async function patiently<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await wait(RETRY_MS, signal);
    }
  }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => throwIfAborted(signal));
}

function tokenOf(attached: Attached): number {
  if (attached.state === "ok") return attached.token;
  if (attached.state === "gone") {
    throw new OutOfRange(`resume_after must be ${attached.bound} or more: the rest is not kept`);
  }
  if (attached.state === "unsent") {
    throw new OutOfRange(`resume_after must be ${attached.bound} or less: no more was sent`);
  }
  throw lossOf(attached.state);
}

function lossOf(state: "unknown" | "interrupted"): Error {
  if (state === "interrupted") return new TurnCancelled("interrupted");
  return new NotFound("this device has no such turn to resume");
}

async function progressOf(
  turns: SharedTurns,
  name: Omit<TurnPosition, "after">,
): Promise<Progress> {
  const progress = await readProgress(turns, name);
  if (!progress) throw lossOf("unknown");
  return progress;
}

function tellBegin(
  { sessionId }: Progress,
  { turnId }: Pick<TurnPosition, "turnId">,
  { onBegin }: TurnListener,
): void {
  onBegin?.({ turnId, sessionId });
}

function tellEnd(
  { isPartial, isVerbatim }: Progress,
  last: number,
  { onPartial, onEnd }: TurnListener,
): void {
  if (isPartial) onPartial?.();
  onEnd?.({ isVerbatim, sequence: last + 1 });
}
