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
