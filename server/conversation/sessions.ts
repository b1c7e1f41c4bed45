import { randomBytes } from "node:crypto";
import { InvalidRequest } from "../core/errors.ts";
import type { Tier } from "../failover/tier.ts";
import type { LanguageModel, PromptContext } from "../models/language-model.ts";
import type { Synthesizer } from "../models/synthesizer.ts";

/** A session of one device. Another device's session of the same id is another session. */
export type Session = { readonly deviceId: string; readonly sessionId: string };

/** Names the session of each turn, and prepares turns whose users still speak. */
export type Sessions = {
  /**
   * The id of a turn's session: the client's own if it names one, else that of the device's current
   * session. Made up (a UUID of version 7) if the device has none, or there is no device.
   */
  idOf(turn: { readonly deviceId?: string; readonly sessionId?: string }): string;
  /** A turn of the device's current session starts or ends: the session continues for `idleMs`. */
  continue(session: Session): void;
  /**
   * Prepares, in the background, what a turn of the session will need. Does nothing if it did so a
   * moment ago, or for too many sessions lately: then the turn waits for it. Never throws.
   */
  prepare(session: Session, contextOf: () => Promise<PromptContext>): void;
  /** The turn has started: what was prepared is its own until it calls the function returned. */
  takePrepared(session: Session): () => void;
  /** Releases what was prepared for the device. */
  dropPrepared(deviceId: string): void;
  /** Releases everything, and prepares nothing from now on. */
  stop(): void;
};

/** How long sessions last, and how much is prepared. */
export type SessionLimits = {
  /** Milliseconds without a turn that end a device's current session. 300 s if absent. */
  readonly idleMs?: number;
  /** Current sessions of all devices; the one idle for longest ends first. 10,000 if absent. */
  readonly maxSessions?: number;
  /** Milliseconds between two preparations of one device. 3 s if absent. */
  readonly prepareEveryMs?: number;
  /** Preparations within that time, and that are held. 64 if absent. */
  readonly maxPrepared?: number;
  /** Milliseconds after a session's last piece that its preparation is held. 15 s if absent. */
  readonly keepPreparedMs?: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
};

/**
 * Makes the sessions of all devices; none yet. `prepare` prepares for one context until its signal fires;
 * it never rejects.
 */
export function createSessions(
  prepare: (context: Promise<PromptContext>, signal: AbortSignal) => Promise<void>,
  limits: SessionLimits = {},
): Sessions {
  const { idleMs = 300_000, maxSessions = 10_000, now = () => performance.now() } = limits;
  /** The current session of each device, longest idle first. */
  const current = new Map<string, { readonly id: string; readonly atMs: number }>();
  const preparations = createPreparations(prepare, { ...limits, now });
  const find = (deviceId: string): string | undefined => {
    const found = current.get(deviceId);
    return found && now() - found.atMs < idleMs ? found.id : undefined;
  };
  return {
    idOf({ deviceId, sessionId }) {
      return sessionId ?? (deviceId === undefined ? undefined : find(deviceId)) ?? createId();
    },
    continue({ deviceId, sessionId }) {
      current.delete(deviceId);
      current.set(deviceId, { id: sessionId, atMs: now() });
      const [longestIdle] = current.keys();
      if (current.size > maxSessions && longestIdle !== undefined) current.delete(longestIdle);
    },
    ...preparations,
  };
}

type Preparation = {
  readonly sessionId: string;
  readonly aborter: AbortController;
  readonly timer: NodeJS.Timeout;
};

type Preparations = Pick<Sessions, "prepare" | "takePrepared" | "dropPrepared" | "stop">;

/** One device has one preparation at a time. */
function createPreparations(
  prepare: (context: Promise<PromptContext>, signal: AbortSignal) => Promise<void>,
  limits: SessionLimits & { readonly now: () => number },
): Preparations {
  const { prepareEveryMs = 3_000, maxPrepared = 64, keepPreparedMs = 15_000, now } = limits;
  const held = new Map<string, Preparation>();
  /** When each device was last prepared for, oldest first. It outlives the preparation. */
  const lastMs = new Map<string, number>();
  let stopped = false;

  const drop = (deviceId: string) => {
    const preparation = held.get(deviceId);
    held.delete(deviceId);
    clearTimeout(preparation?.timer);
    preparation?.aborter.abort();
  };
  const mayPrepare = (deviceId: string) => {
    for (const [device, atMs] of lastMs) {
      if (now() - atMs < prepareEveryMs) break;
      lastMs.delete(device);
    }
    const isFull = lastMs.size >= maxPrepared || (held.size >= maxPrepared && !held.has(deviceId));
    return !stopped && !isFull && !lastMs.has(deviceId);
  };
  return {
    prepare({ deviceId, sessionId }, contextOf) {
      const before = held.get(deviceId);
      if (before?.sessionId === sessionId) before.timer.refresh();
      if (!mayPrepare(deviceId)) return;
      lastMs.set(deviceId, now());
      if (before?.sessionId !== sessionId) {
        drop(deviceId);
        const timer = setTimeout(drop, keepPreparedMs, deviceId).unref();
        held.set(deviceId, { sessionId, aborter: new AbortController(), timer });
      }
      const { aborter } = held.get(deviceId) as Preparation;
      void prepare(contextOf(), aborter.signal);
    },
    takePrepared({ deviceId, sessionId }) {
      const preparation = held.get(deviceId);
      if (preparation?.sessionId !== sessionId) return () => undefined;
      held.delete(deviceId);
      clearTimeout(preparation.timer);
      return () => preparation.aborter.abort();
    },
    dropPrepared: drop,
    stop() {
      stopped = true;
      for (const deviceId of [...held.keys()]) drop(deviceId);
    },
  };
}

/** The tiers of a conversation, best first. */
type PreparedTiers = {
  readonly languageModels: readonly Tier<LanguageModel>[];
  readonly synthesizers: readonly Tier<Synthesizer>[];
};

/** Has the tier of each kind that will most likely be called prepare. Never rejects. */
export async function prepareTiers(
  { languageModels, synthesizers }: PreparedTiers,
  context: Promise<PromptContext>,
  signal: AbortSignal,
): Promise<void> {
  const text = async () => firstHealthy(languageModels)?.prepare?.(await context, signal);
  const speech = async () => firstHealthy(synthesizers)?.prepare?.(signal);
  // A failure is ignored: the turn will meet it, or not.
  await Promise.allSettled([text(), speech()]);
}

function firstHealthy<Provider>(tiers: readonly Tier<Provider>[]): Provider | undefined {
  return tiers.find(({ breaker }) => breaker.state() === "CLOSED")?.provider;
}

const MAX_ID_BYTES = 128;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const UUID_V4_OR_7 = /^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const SESSION_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** A device's id: 1 to 128 bytes without control characters, and not "unknown" in any case. */
export function parseDeviceId(value: string): string {
  if (value === "") throw new InvalidRequest("hardware_id", "is required and must not be empty");
  if (Buffer.byteLength(value) > MAX_ID_BYTES) {
    throw new InvalidRequest("hardware_id", `must be at most ${MAX_ID_BYTES} bytes`);
  }
  if (/\p{Cc}/u.test(value)) {
    throw new InvalidRequest("hardware_id", "must not contain control characters");
  }
  // Clients that cannot read their id send this: they would all be one device.
  if (/^\s*unknown\s*$/i.test(value)) {
    throw new InvalidRequest("hardware_id", 'must not be "unknown"');
  }
  refuseReserved("hardware_id", value);
  return value;
}

/** Where ids name the members of an object, this one would name its prototype. */
function refuseReserved(field: string, value: string): void {
  if (value === "__proto__") throw new InvalidRequest(field, 'must not be "__proto__"');
}

/** A session's id, if the client names one. */
export function parseSessionId(value: string | undefined): string | undefined {
  if (!value) return undefined;
  refuseReserved("session_id", value);
  if (SESSION_ID.test(value)) return value;
  throw new InvalidRequest("session_id", "must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -");
}

/** The session of a prompt in pieces: a UUID, in either case: of version 4, or one that the gateway made. */
export function parsePhaseSessionId(value: string | undefined): string {
  if (value && UUID_V4_OR_7.test(value)) return value;
  throw new InvalidRequest(
    "session_id",
    "is required with a phase and must be a UUID of version 4 or 7",
  );
}

/** A turn's id, if the client names one: a UUID of any version, in either case. */
export function parseTurnId(value: string | undefined): string | undefined {
  if (!value) return undefined;
  if (UUID.test(value)) return value;
  throw new InvalidRequest("turn_id", "must be a UUID");
}

/** A UUID of version 7 (RFC 9562): ids of later milliseconds sort behind. */
export function createId(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
