import type { PromptContext } from "../models/language-model.ts";
import type { PromptOwner } from "./collected-prompts.ts";
import type { Talker } from "./history.ts";

/** What is made ready for turns whose users still speak. */
export type Preparations = {
  /**
   * Makes ready what a turn of the owner will need, in the background. Does nothing if that was done
   * a moment ago, or for too many lately: then the turn makes it itself. Never throws.
   */
  begin(owner: PromptOwner, contextOf: () => PromptContext): void;
  /** The turn has begun: what was made ready is its own until it calls what is answered. */
  take(talker: Talker): () => void;
  /** Releases what was made ready for the device. */
  dropDevice(deviceId: string): void;
  /** Releases everything, and makes nothing ready from now on. */
  stop(): void;
};

/** How often, and for how long. */
export type PreparationLimits = {
  /** Milliseconds between two preparations of one device. 3 s unless said otherwise. */
  readonly intervalMs?: number;
  /** Preparations of all devices within an interval, and that stand ready. 64 unless said otherwise. */
  readonly most?: number;
  /** Milliseconds after a session's last piece that it stays ready. 15 s unless said otherwise. */
  readonly keepMs?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
};

type Preparation = {
  readonly conversationId: string;
  readonly aborter: AbortController;
  readonly timer: NodeJS.Timeout;
};

/**
 * Prepares nothing yet. `prepare` makes things ready until its signal fires; it never rejects. One
 * device has one preparation at a time.
 */
export function createPreparations(
  prepare: (context: PromptContext, signal: AbortSignal) => Promise<void>,
  limits: PreparationLimits = {},
): Preparations {
  const { intervalMs = 3_000, most = 64, keepMs = 15_000 } = limits;
  const now = limits.now ?? (() => performance.now());
  const ready = new Map<string, Preparation>();
  /** When each device was last prepared for, oldest first. It outlives what was made ready. */
  const lastMs = new Map<string, number>();
  let stopped = false;

  const dropDevice = (deviceId: string) => {
    const preparation = ready.get(deviceId);
    ready.delete(deviceId);
    clearTimeout(preparation?.timer);
    preparation?.aborter.abort();
  };
  const mayBegin = (deviceId: string) => {
    for (const [device, atMs] of lastMs) {
      if (now() - atMs < intervalMs) break;
      lastMs.delete(device);
    }
    const isFull = lastMs.size >= most || (ready.size >= most && !ready.has(deviceId));
    return !stopped && !isFull && !lastMs.has(deviceId);
  };
  return {
    begin({ deviceId, conversationId }, contextOf) {
      const standing = ready.get(deviceId);
      if (standing?.conversationId === conversationId) standing.timer.refresh();
      if (!mayBegin(deviceId)) return;
      lastMs.set(deviceId, now());
      if (standing?.conversationId !== conversationId) {
        dropDevice(deviceId);
        const timer = setTimeout(dropDevice, keepMs, deviceId).unref();
        ready.set(deviceId, { conversationId, aborter: new AbortController(), timer });
      }
      const { aborter } = ready.get(deviceId) as Preparation;
      void prepare(contextOf(), aborter.signal);
    },
    take({ deviceId, conversationId }) {
      const preparation = deviceId === undefined ? undefined : ready.get(deviceId);
      if (!preparation || preparation.conversationId !== conversationId) return () => undefined;
      ready.delete(deviceId as string);
      clearTimeout(preparation.timer);
      return () => preparation.aborter.abort();
    },
    dropDevice,
    stop() {
      stopped = true;
      for (const deviceId of [...ready.keys()]) dropDevice(deviceId);
    },
  };
}
