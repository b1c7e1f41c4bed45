import { ANSWER_MS } from "./interrupt-bus.ts";
import type { EndedTurns, RemoteInterrupt } from "./turn-registry.ts";

/**
 * What was ended by interrupts that an instance learned of as it listed its turns again. It may hear of one
 * of them as well, and afterwards; who asked still waits for its answer then, which names these turns too.
 */
export function createMissedInterrupts(now = () => performance.now()) {
  /** The one that was learned of first is the first. */
  const missed = new Map<string, EndedTurns & { readonly atMs: number }>();
  const prune = () => {
    for (const [key, { atMs }] of missed) {
      if (now() - atMs <= ANSWER_MS) return;
      missed.delete(key);
    }
  };
  return {
    add(interrupt: RemoteInterrupt, ended: EndedTurns): void {
      prune();
      const key = keyOf(interrupt);
      const known = missed.get(key);
      missed.set(key, { ...merge(known, ended), atMs: known?.atMs ?? now() });
    },
    /** What the interrupt ended, with what it had ended before it was heard. */
    complete(interrupt: RemoteInterrupt, ended: EndedTurns): EndedTurns {
      const { sessions, sentTurns } = merge(missed.get(keyOf(interrupt)), ended);
      return { sessions, sentTurns };
    },
    /** Forgets those for whose answers nobody waits any more. */
    prune,
  };
}

function keyOf({ deviceId, before }: RemoteInterrupt): string {
  return `${before} ${deviceId}`;
}

function merge(known: EndedTurns | undefined, { sessions, sentTurns }: EndedTurns): EndedTurns {
  return {
    sessions: [...new Set([...(known?.sessions ?? []), ...sessions])],
    sentTurns: [...(known?.sentTurns ?? []), ...sentTurns],
  };
}
