import { abortable } from "../core/async.ts";
import { outputRateHz } from "../core/audio/pcm.ts";
import { LimitExceeded } from "../core/errors.ts";

/** What a device has used. */
type Used = {
  /** Samples at 48 kHz that were sent to it. */
  readonly samples: number;
  /** Input and output tokens. */
  readonly tokens: number;
};

/** The quotas of a device and day, and where the use is kept. */
export type QuotaOptions = {
  /** 0: any number. */
  readonly audioSeconds: number;
  /** 0: any number. */
  readonly tokens: number;
  /**
   * Reads what a device has used since a time, in milliseconds since 1970. Undefined: it is not kept. Ends
   * within a time of its own: turns wait for it, as for their history.
   */
  readonly readUsed: (deviceId: string, since: number) => Promise<Used> | undefined;
  /** Whether other gateways write there too. */
  readonly isShared: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
};

/** What each device may use in a day (UTC). */
export type Quotas = {
  /** Throws `LimitExceeded` if, as far as this process knows, the device has used up its day. */
  check(deviceId: string): void;
  /**
   * Learns what the device used before, where that is not known; then checks as `check` does. Rejects as
   * it throws, or with the signal's reason.
   */
  recall(deviceId: string, signal: AbortSignal): Promise<void>;
  addSound(deviceId: string, samples: number): void;
  addTokens(deviceId: string, tokens: number): void;
};

/** What is known of a device's day. */
type Day = {
  readonly day: number;
  /** What was used when it was read, if it was; and what was used here since then. */
  before: Used | undefined;
  since: Used;
  readMs: number;
  reading: Promise<void> | undefined;
};

const DAY_MS = 24 * 3600 * 1000;
/** How long what others used may be unknown; and what could not be read. */
const AGAIN_MS = 60_000;
/** The device that was not seen for longest is forgotten, and read again. */
const MAX_DEVICES = 10_000;
const nothing: Used = { samples: 0, tokens: 0 };

/** Creates the quotas. Nothing is known. */
export function createQuotas(options: QuotaOptions): Quotas {
  const { now = Date.now } = options;
  const days = createDays(now);
  const check = (deviceId: string) => checkDay(options, days.of(deviceId), now());

  const read = async (deviceId: string, day: Day) => {
    const { since } = day;
    const used = await options.readUsed(deviceId, day.day * DAY_MS)?.catch(() => undefined);
    if (used === undefined) return;
    day.before = used;
    day.since = minus(day.since, since);
  };
  const know = async (deviceId: string) => {
    const day = days.of(deviceId);
    const isKnown = day.before !== undefined && !options.isShared;
    if (!isKnown && now() - day.readMs >= AGAIN_MS) {
      day.readMs = now();
      day.reading = read(deviceId, day);
    }
    await day.reading;
  };
  return {
    check,
    async recall(deviceId, signal) {
      if (options.audioSeconds === 0 && options.tokens === 0) return;
      await abortable(know(deviceId), signal);
      check(deviceId);
    },
    addSound(deviceId, samples) {
      const day = days.of(deviceId);
      day.since = { ...day.since, samples: day.since.samples + samples };
    },
    addTokens(deviceId, tokens) {
      const day = days.of(deviceId);
      day.since = { ...day.since, tokens: day.since.tokens + tokens };
    },
  };
}

/** The days of devices. A new day begins with nothing. */
function createDays(now: () => number) {
  const days = new Map<string, Day>();
  return {
    of(deviceId: string): Day {
      const today = Math.floor(now() / DAY_MS);
      const known = days.get(deviceId);
      const isToday = known?.day === today;
      const day = isToday ? known : newDay(today);
      // Removed first, so that the map keeps the order of use.
      days.delete(deviceId);
      days.set(deviceId, day);
      if (days.size > MAX_DEVICES) days.delete(days.keys().next().value ?? "");
      return day;
    },
  };
}

function newDay(day: number): Day {
  const readMs = Number.NEGATIVE_INFINITY;
  return { day, before: undefined, since: nothing, readMs, reading: undefined };
}

function minus(a: Used, b: Used): Used {
  return { samples: a.samples - b.samples, tokens: a.tokens - b.tokens };
}

function checkDay(
  { audioSeconds, tokens }: QuotaOptions,
  { before = nothing, since }: Day,
  nowMs: number,
): void {
  const untilNextMs = DAY_MS - (nowMs % DAY_MS);
  const refuse = (what: string, limit: "audio_quota" | "token_quota") => {
    const message = `this device has used up its quota of ${what} for today; the next day begins at 00:00 UTC`;
    throw new LimitExceeded(message, limit, untilNextMs);
  };
  const seconds = (before.samples + since.samples) / outputRateHz;
  if (audioSeconds > 0 && seconds >= audioSeconds) {
    refuse(`${audioSeconds} s of sound`, "audio_quota");
  }
  if (tokens > 0 && before.tokens + since.tokens >= tokens) {
    refuse(`${tokens} tokens`, "token_quota");
  }
}
