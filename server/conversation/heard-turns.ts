import { outputRateHz } from "../core/audio/pcm.ts";
import type { KeptTurn } from "../storage/records.ts";
import type { TurnObserver } from "../telemetry/turn-observer.ts";
import type { TurnRecord } from "./turn-record.ts";

/** How a turn is heard, while it runs and after it was sent. */
export type Listening = {
  /** Whether anything was sent. */
  hasBegun(): boolean;
  /** Whether sound that was sent in full is still playing. */
  isPlaying(): boolean;
  /** The user cut it. */
  cut(): void;
  /** The client has played so many samples. Resolves when that is kept. */
  report(samples: number): Promise<void>;
  /** Bytes that this takes, about. */
  bytes(): number;
};

/** What is known of a turn that has ended. */
type EndedTurn = {
  /** Rises from turn to turn. */
  readonly number: number;
  readonly deviceId: string | undefined;
  readonly sessionId: string;
  readonly turnId: string | undefined;
  readonly listening: Listening;
  readonly bytes: number;
};

/** Ended turns that are known with how they are heard, and what they may take with their words. */
const MAX_HEARD = 1000;
const MAX_HEARD_BYTES = 16 * 1024 * 1024;

/** A turn that ends. */
type Turn = Omit<EndedTurn, "listening" | "bytes"> & {
  /** Undefined if it cannot be named. */
  readonly key: string | undefined;
  /** Undefined if it is of no device. */
  readonly listening?: Listening;
};

/** Which turns are meant. */
export type IsMeant = (turn: {
  readonly number: number;
  readonly deviceId: string | undefined;
}) => boolean;

/** The latest turns that have ended, and how they are heard. */
export function createHeardTurns() {
  const turns = new Map<string, EndedTurn>();
  let bytes = 0;
  const remove = (key: string) => {
    bytes -= turns.get(key)?.bytes ?? 0;
    turns.delete(key);
  };
  return {
    add({ key, listening, number, deviceId, sessionId, turnId }: Turn) {
      if (!key || !listening) return;
      remove(key);
      const own = listening.bytes();
      turns.set(key, { number, deviceId, sessionId, turnId, listening, bytes: own });
      bytes += own;
      for (const oldest of turns.keys()) {
        if (turns.size <= MAX_HEARD && bytes <= MAX_HEARD_BYTES) break;
        remove(oldest);
      }
    },
    find: (key: string) => turns.get(key),
    /** Cuts those that still play. Returns their ids. */
    cut(isMeant: IsMeant): readonly string[] {
      const isPlaying = (turn: EndedTurn) => isMeant(turn) && turn.listening.isPlaying();
      const playing = [...turns.values()].filter(isPlaying);
      for (const { listening } of playing) listening.cut();
      return playing.flatMap(({ turnId }) => turnId ?? []);
    },
  };
}

/** Bytes that a turn takes beside its texts, and each letter of them: with the timings of its words. */
const TURN_BYTES = 2048;
const LETTER_BYTES = 12;

/**
 * How a turn is heard, kept as it becomes known. It outlives the turn, so it holds neither the request
 * nor the turn's signal.
 */
export function listenTo(
  record: TurnRecord,
  kept: KeptTurn,
  promptLength: number,
  onCutAfterSent: TurnObserver["onCutAfterSent"] | undefined,
): Listening {
  return {
    bytes: () => TURN_BYTES + 2 * promptLength + LETTER_BYTES * record.playback.sent().text.length,
    hasBegun: () => record.playback.sent().text !== "" || record.hasSounded(),
    isPlaying: () => record.playback.aheadMs() > 0,
    cut() {
      record.cut();
      const { sentSeconds } = record.sound();
      onCutAfterSent?.(sentSeconds - record.playback.heard().samples / outputRateHz);
      void kept.write(record.read());
    },
    async report(samples) {
      record.playback.report(samples);
      const state = record.read();
      await kept.write(record.isSending() ? { ...state, status: "running" } : state);
    },
  };
}
