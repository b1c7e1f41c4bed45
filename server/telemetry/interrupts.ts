import { createHash } from "node:crypto";
import type { Logger } from "./logger.ts";

/** An interrupt and what it found. */
export type Interrupt = {
  readonly deviceId: string;
  /** The id of the caller's token, if it has one. */
  readonly tokenId?: string | undefined;
  /** The session of the first turn that it cut. */
  readonly sessionId?: string | undefined;
  /** Turns in progress that it cut, oldest first. */
  readonly turnIds: readonly string[];
  /** Turns that were sent and still played. */
  readonly sentTurns: number;
  /** Of a monotonic clock. */
  readonly atMs: number;
};

/** Logs each interrupt once nothing more leaves of the turns that it cut. */
export type InterruptLog = {
  onInterrupt(interrupt: Interrupt): void;
  /** Nothing more leaves of this turn. */
  onSilent(turnId: string): void;
};

/** A turn that is parked in a write to a client that does not read is waited for no longer. */
const LONGEST_WAIT_MS = 1000;

type Waiting = { readonly turns: Set<string>; readonly tell: () => void };

/** Makes the log. Nothing is logged, and nothing waits, without a logger. */
export function createInterruptLog(logger: Logger | undefined): InterruptLog {
  const waiting = new Set<Waiting>();
  if (!logger) return { onInterrupt: () => undefined, onSilent: () => undefined };
  return {
    onInterrupt(interrupt) {
      const { turnIds } = interrupt;
      if (turnIds.length === 0) {
        logger.warn(fieldsOf(interrupt), "interrupt");
        return;
      }
      const timer = setTimeout(() => tell(false), LONGEST_WAIT_MS).unref();
      const tell = (isSilent: boolean) => {
        clearTimeout(timer);
        waiting.delete(entry);
        const silentMs = Math.round((performance.now() - interrupt.atMs) * 10) / 10;
        const fields = isSilent ? { timeToSilenceMs: silentMs } : { isSilent: false };
        logger.warn({ ...fieldsOf(interrupt), ...fields }, "interrupt");
      };
      const entry = { turns: new Set(turnIds), tell: () => tell(true) };
      waiting.add(entry);
    },
    onSilent(turnId) {
      for (const { turns, tell } of [...waiting]) {
        if (turns.delete(turnId) && turns.size === 0) tell();
      }
    },
  };
}

/** A device's id is as good as its key where there are no tokens, so the log gets a hash of it. */
function fieldsOf({ deviceId, tokenId, sessionId, turnIds, sentTurns }: Interrupt) {
  const hash = createHash("sha256").update(deviceId).digest("hex").slice(0, 12);
  return {
    ...(turnIds.length > 0 && { turnId: turnIds.at(-1) }),
    ...(sessionId !== undefined && { sessionId }),
    caller: tokenId === undefined ? `device ${hash}` : `token ${tokenId}`,
    turns: turnIds.length,
    sentTurns,
  };
}
