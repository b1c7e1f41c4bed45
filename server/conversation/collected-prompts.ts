import { TurnCancelled } from "../core/async.ts";
import { InvalidRequest, LimitExceeded } from "../core/errors.ts";
import { mergeWords } from "./merge-words.ts";
import type { Session } from "./sessions.ts";
import { type CollectedPrompt, MAX_PROMPT_BYTES, type PromptPiece } from "./turn-request.ts";

/** The pieces of prompts whose turns have not started, in this process. */
export type CollectedPrompts = {
  /**
   * Merges a piece into what is kept for its session. A piece whose number is not above the last one
   * kept changes nothing. Throws `InvalidRequest` if the text becomes too long, `LimitExceeded` if
   * there is no room, and `TurnCancelled` after `stop`; what was kept then stays as it is. `mark` numbers
   * a prompt that begins.
   */
  add(piece: PromptPiece, mark?: (deviceId: string) => number): void;
  /** What is kept for the session. It stays until `remove`. */
  find(owner: Session): CollectedPrompt | undefined;
  /**
   * Forgets what `find` returned, unless it has changed since. The function returned keeps it again, unless
   * the session has begun another prompt.
   */
  remove(owner: Session, prompt: CollectedPrompt): () => void;
  /** Forgets what was collected for the device, up to the prompt of this number; all if absent. */
  dropDevice(deviceId: string, last?: number): void;
  /** Bytes that are kept. */
  bytes(): number;
  /** Forgets everything, and refuses pieces from now on. */
  stop(): void;
};

/** How much is kept, and for how long. */
export type CollectLimits = {
  /** Milliseconds that a prompt is kept after its last piece. 2 minutes if absent. */
  readonly lifeMs?: number;
  /** Bytes of text and pictures of one device. 16 MiB if absent. */
  readonly maxDeviceBytes?: number;
  /** Bytes of all devices. 64 MiB if absent. */
  readonly maxBytes?: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
};

const MIB = 1024 * 1024;

/** The size of an entry besides its text and picture, so that empty ones are bounded too. */
const ENTRY_BYTES = 1024;

type Entry = Session & {
  /** Later than all that had begun before its first piece. */
  readonly number: number;
  readonly prompt: CollectedPrompt;
  readonly seq: number;
  readonly bytes: number;
  readonly screenshotBytes: number;
  readonly atMs: number;
};

/**
 * Makes an empty collection. A device that needs more than its share loses its oldest other session.
 * Other devices lose nothing for it, because their pieces were acknowledged: if no room is left, a
 * piece is refused.
 */
export function createCollectedPrompts(limits: CollectLimits = {}): CollectedPrompts {
  const { lifeMs = 120_000, maxDeviceBytes = 16 * MIB, maxBytes = 64 * MIB } = limits;
  const now = limits.now ?? (() => performance.now());
  const entries = createEntries();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  /** Frees a picture of somebody's screen when its time is over, even if no call follows. */
  const expire = () => {
    clearTimeout(timer);
    for (const [key, { atMs }] of entries.oldestFirst()) {
      const leftMs = atMs + lifeMs - now();
      if (leftMs > 0) {
        timer = setTimeout(expire, Math.ceil(leftMs)).unref();
        return;
      }
      entries.delete(key);
    }
  };
  return {
    add(piece, mark = () => 0) {
      if (stopped) throw new TurnCancelled("shutdown");
      expire();
      const key = keyOf(piece);
      const kept = entries.get(key);
      if (kept && piece.seq <= kept.seq) return;
      const merged = { ...merge(kept, piece, now()), number: kept?.number ?? 0 };
      makeRoom(entries, merged, { maxDeviceBytes, maxBytes });
      entries.set(key, kept ? merged : { ...merged, number: mark(piece.deviceId) });
      expire();
    },
    find(owner) {
      expire();
      return entries.get(keyOf(owner))?.prompt;
    },
    remove(owner, prompt) {
      const key = keyOf(owner);
      const entry = entries.get(key);
      if (entry?.prompt !== prompt) return () => undefined;
      entries.delete(key);
      return () => {
        if (stopped || entries.get(key)) return;
        entries.set(key, { ...entry, atMs: now() });
        expire();
      };
    },
    dropDevice(deviceId, last = Number.MAX_VALUE) {
      for (const key of entries.keysOf(deviceId)) {
        if ((entries.get(key)?.number ?? 0) <= last) entries.delete(key);
      }
    },
    bytes: entries.bytes,
    stop() {
      stopped = true;
      clearTimeout(timer);
      for (const [key] of entries.oldestFirst()) entries.delete(key);
    },
  };
}

type Entries = ReturnType<typeof createEntries>;

/** Entries by session and by device, and their size. */
function createEntries() {
  /** Longest untouched first. */
  const all = new Map<string, Entry>();
  const keysByDevice = new Map<string, Set<string>>();
  let bytes = 0;
  const remove = (key: string) => {
    const entry = all.get(key);
    if (!entry) return;
    all.delete(key);
    bytes -= entry.bytes;
    const keys = keysByDevice.get(entry.deviceId);
    keys?.delete(key);
    if (keys?.size === 0) keysByDevice.delete(entry.deviceId);
  };
  return {
    get: (key: string) => all.get(key),
    set(key: string, entry: Entry) {
      remove(key);
      all.set(key, entry);
      bytes += entry.bytes;
      const keys = keysByDevice.get(entry.deviceId) ?? new Set();
      keysByDevice.set(entry.deviceId, keys.add(key));
    },
    delete: remove,
    bytes: () => bytes,
    oldestFirst: () => all.entries(),
    /** Of one device, longest untouched first. */
    keysOf: (deviceId: string) => [...(keysByDevice.get(deviceId) ?? [])],
  };
}

/** Drops the oldest of the entry's own device until it fits. Throws if that would not do. */
function makeRoom(
  entries: Entries,
  entry: Entry,
  { maxDeviceBytes, maxBytes }: { readonly maxDeviceBytes: number; readonly maxBytes: number },
): void {
  const key = keyOf(entry);
  const bytesOf = (other: string) => entries.get(other)?.bytes ?? 0;
  const others = entries.keysOf(entry.deviceId).filter((other) => other !== key);
  let own = others.reduce((sum, other) => sum + bytesOf(other), entry.bytes);
  let all = entries.bytes() - bytesOf(key) + entry.bytes;
  const dropped: string[] = [];
  for (const other of others) {
    if (own <= maxDeviceBytes && all <= maxBytes) break;
    dropped.push(other);
    own -= bytesOf(other);
    all -= bytesOf(other);
  }
  if (all > maxBytes) throw new LimitExceeded(FULL, "collected_prompts");
  for (const other of dropped) entries.delete(other);
}

const FULL = "no room for collected prompts; send the whole prompt with the commit";

function keyOf({ deviceId, sessionId }: Session): string {
  return JSON.stringify([deviceId, sessionId]);
}

function merge(kept: Entry | undefined, piece: PromptPiece, atMs: number): Omit<Entry, "number"> {
  const { deviceId, sessionId, seq } = piece;
  const text = mergeWords(kept?.prompt.text ?? "", piece.text);
  const textBytes = Buffer.byteLength(text);
  if (textBytes > MAX_PROMPT_BYTES) {
    throw new InvalidRequest(
      "chunk_text",
      `must be at most ${MAX_PROMPT_BYTES} bytes of UTF-8 together with what was collected before`,
    );
  }
  const { screenshot, screenWidth, screenHeight } = { ...kept?.prompt, ...definedOf(piece) };
  const screenshotBytes = piece.screenshot ? piece.screenshotBytes : (kept?.screenshotBytes ?? 0);
  const prompt = { text, ...definedOf({ screenshot, screenWidth, screenHeight }) };
  const bytes = ENTRY_BYTES + textBytes + screenshotBytes;
  return { deviceId, sessionId, seq, prompt, screenshotBytes, bytes, atMs };
}

type Screen = Omit<CollectedPrompt, "text">;

/** Those fields of the picture and the screen that are defined. */
function definedOf({
  screenshot,
  screenWidth,
  screenHeight,
}: { [Name in keyof Screen]: Screen[Name] | undefined }): Screen {
  return {
    ...(screenshot && { screenshot }),
    ...(screenWidth && { screenWidth }),
    ...(screenHeight && { screenHeight }),
  };
}
