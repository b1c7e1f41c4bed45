import { type CancelReason, onAbort, TurnCancelled } from "../core/async.ts";
import { BUSY, LimitExceeded } from "../core/errors.ts";

/** How many turns may run, and for how long. */
export type TurnLimits = {
  readonly maxTurns: number;
  readonly maxTurnsPerDevice: number;
  /** Of all devices on one connection: a device id is not verified. */
  readonly maxTurnsPerConnection: number;
  /** Milliseconds after which a turn is cut with `deadline`. */
  readonly maxTurnMs: number;
};

/** One turn in progress. */
type ActiveTurn = {
  /** Fires once, with a `TurnCancelled`, when the turn must stop. Never after `end`. */
  readonly signal: AbortSignal;
  /** The time that it has. */
  readonly time: TurnClock;
  /** Removes the turn from the list. */
  end(): void;
};

/**
 * Counts a turn's time. While its client reads what was sent it stands still, for up to one and a half
 * times as long as that sound plays: a client at playback speed hears any reply to its end, and one that
 * takes a byte now and then does not hold the turn.
 */
type TurnClock = {
  /** Milliseconds in all. */
  readonly maxMs: number;
  /** Milliseconds that are left, 0 or more. */
  leftMs(): number;
  /** The client gets sound that plays for so long, and reads until `resume`. */
  pause(playMs: number): void;
  resume(): void;
};

/** Every turn in progress: its device, and the one signal that stops it. */
export type ActiveTurns = {
  /**
   * Lists a turn. Throws `LimitExceeded` if too many run, and `TurnCancelled` after `cancelAll`.
   * `clientSignal` fires when the client disconnects.
   */
  begin(
    turn: { readonly deviceId?: string; readonly sessionId: string; readonly connection?: object },
    clientSignal: AbortSignal,
  ): ActiveTurn;
  /**
   * Counts a stream that is no turn, in all and for its connection, until the returned function is
   * called. Throws as `begin` does.
   */
  hold(connection: object | undefined): () => void;
  /** Cancels all of a device's turns. Returns their session ids, each once, oldest first. */
  interrupt(deviceId: string): readonly string[];
  /** Cancels every turn, and refuses new ones from now on. */
  cancelAll(reason: CancelReason): void;
  /** Turns in progress. */
  count(): number;
};

type Entry = {
  readonly deviceId: string | undefined;
  readonly connection: object | undefined;
  readonly sessionId: string;
  readonly cancel: (reason: CancelReason) => void;
};

/** Makes an empty list of turns. */
export function createActiveTurns(limits: TurnLimits): ActiveTurns {
  const entries = new Set<Entry>();
  const held = new Set<{ readonly connection: object | undefined }>();
  let closed: CancelReason | undefined;

  const admitStream = (connection: object | undefined) => {
    if (closed !== undefined) throw new TurnCancelled(closed);
    if (entries.size + held.size >= limits.maxTurns) {
      throw new LimitExceeded(BUSY);
    }
    if (connection === undefined) return;
    const own = [...entries, ...held].filter((entry) => entry.connection === connection);
    refuseAbove(limits.maxTurnsPerConnection, own.length, "this connection");
  };
  const admitDevice = (deviceId: string | undefined) => {
    if (deviceId === undefined) return;
    const own = [...entries].filter((entry) => entry.deviceId === deviceId);
    refuseAbove(limits.maxTurnsPerDevice, own.length, "this hardware_id");
  };

  return {
    begin({ deviceId, sessionId, connection }, clientSignal) {
      if (clientSignal.aborted) throw new TurnCancelled("disconnected");
      admitStream(connection);
      admitDevice(deviceId);
      const aborter = new AbortController();
      const end = () => {
        entries.delete(entry);
        stopClock();
        forgetClient();
      };
      const cancel = (reason: CancelReason) => {
        // Removed here, not where the turn's code ends, which may be parked in a write for long.
        end();
        aborter.abort(new TurnCancelled(reason));
      };
      const entry: Entry = { deviceId, connection, sessionId, cancel };
      entries.add(entry);
      const { stopClock, ...time } = startClock(limits.maxTurnMs, () => cancel("deadline"));
      const forgetClient = onAbort(clientSignal, () => cancel("disconnected"));
      return { signal: aborter.signal, time, end };
    },
    hold(connection) {
      admitStream(connection);
      const stream = { connection };
      held.add(stream);
      return () => void held.delete(stream);
    },
    interrupt(deviceId) {
      const own = [...entries].filter((entry) => entry.deviceId === deviceId);
      for (const entry of own) entry.cancel("interrupted");
      return [...new Set(own.map((entry) => entry.sessionId))];
    },
    cancelAll(reason) {
      closed = reason;
      for (const entry of [...entries]) entry.cancel(reason);
    },
    count: () => entries.size,
  };
}

function startClock(maxMs: number, onDue: () => void): TurnClock & { stopClock(): void } {
  const startMs = performance.now();
  let creditMs = 0;
  let readingMs = 0;
  let pausedMs: number | undefined;
  const read = () => {
    const now = pausedMs === undefined ? 0 : performance.now() - pausedMs;
    return Math.min(readingMs + now, creditMs);
  };
  const leftMs = () => Math.max(0, maxMs - (performance.now() - startMs - read()));
  const check = () => {
    const restMs = leftMs();
    if (restMs < 1) onDue();
    else timer = setTimeout(check, Math.ceil(restMs));
  };
  let timer = setTimeout(check, maxMs);
  return {
    maxMs,
    leftMs,
    pause(playMs) {
      creditMs += 1.5 * playMs;
      pausedMs = performance.now();
    },
    resume() {
      readingMs = read();
      pausedMs = undefined;
    },
    stopClock: () => clearTimeout(timer),
  };
}

function refuseAbove(max: number, running: number, who: string): void {
  if (running >= max)
    throw new LimitExceeded(`${who} runs ${max} streams already, the most it may`);
}
