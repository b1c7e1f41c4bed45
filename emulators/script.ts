import { setImmediate, setTimeout } from "node:timers/promises";

/**
 * What goes wrong at an emulated provider.
 * - `refuse`: the connection is refused, or closed before an answer.
 * - `unauthorized`, `forbidden`: the provider's own answer to a wrong key, or a key without rights.
 * - `rate-limit`: 429 with `Retry-After` (or its like), `quota`: the same for an empty account.
 * - `html-500`: status 500 with an HTML page, as a proxy answers.
 * - `hang`: nothing more comes, and the connection stays open.
 * - `drip`: what comes, comes a byte at a time.
 * - `cut`: the connection breaks in the middle of a frame or message.
 * - `empty`: the answer ends properly and holds nothing more.
 * - `malformed`: JSON or a frame that cannot be read.
 * - `wrong-rate`: sound at another rate than was asked for, and says so where the protocol can.
 */
export type FaultKind =
  | "refuse"
  | "unauthorized"
  | "forbidden"
  | "rate-limit"
  | "quota"
  | "html-500"
  | "hang"
  | "drip"
  | "cut"
  | "empty"
  | "malformed"
  | "wrong-rate";

/** A fault, and when it comes. */
export type Fault = {
  readonly kind: FaultKind;
  /** How many parts (deltas, pieces of sound) come properly before it. 0 unless said otherwise. */
  readonly afterParts?: number;
  /** How many handshakes of a speech service meet it. All unless said otherwise. */
  readonly handshakes?: number;
  /** For `rate-limit`: seconds that the provider asks to be left alone. 1 unless said otherwise. */
  readonly retryAfterSeconds?: number;
};

/** How an emulated provider answers. */
export type EmulatorScript = {
  /** Milliseconds that a new connection takes to stand. 0 unless said otherwise. */
  readonly connectMs?: number;
  /** Milliseconds before the first part. 0 unless said otherwise. */
  readonly firstPartMs?: number;
  /** Milliseconds between two parts. 0 unless said otherwise. */
  readonly partMs?: number;
  /** The deltas of a text provider's reply. A voice speaks what it is given. */
  readonly deltas?: readonly string[];
  /** Whether a voice tells of a word behind its sound, instead of before it. */
  readonly wordsLate?: boolean;
  readonly fault?: Fault;
};

/** A provider's server on loopback that speaks its wire protocol to the real SDK. */
export type Emulator<Request> = {
  /** Where it listens: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** What it was asked, oldest first, decoded. Keys as they came. */
  readonly requests: readonly Request[];
  /** Sets how the next requests are answered, until it is called again. */
  play(script: EmulatorScript): void;
  /** Requests (or sockets with one under way) in progress: 0 soon after a cancel. */
  active(): number;
  /** Closes every connection and the port. */
  stop(): Promise<void>;
};

/** A step of a scripted answer: a delta, the fault in its place, or the proper end. */
export type Step =
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "fault"; readonly fault: Fault }
  | { readonly type: "end" };

/**
 * The steps of an answer with the script's delays between them. A `drip` is no step: it is how
 * everything is sent. Ends quietly when the signal fires.
 */
export async function* paced(script: EmulatorScript, signal: AbortSignal): AsyncGenerator<Step> {
  let first = true;
  for (const step of stepsOf(script)) {
    const waitMs = (first ? script.firstPartMs : script.partMs) ?? 0;
    if (waitMs > 0 && step.type !== "end") await rest(waitMs, signal);
    if (signal.aborted) return;
    yield step;
    first = false;
  }
}

function stepsOf({ deltas = [], fault }: EmulatorScript): Step[] {
  const said: Step[] = deltas.map((text) => ({ type: "delta", text }));
  if (!fault || fault.kind === "drip" || fault.kind === "wrong-rate") {
    return [...said, { type: "end" }];
  }
  return [...said.slice(0, fault.afterParts ?? 0), { type: "fault", fault }];
}

/** Waits, or until the signal fires. 0 is no wait at all. */
export async function rest(waitMs: number, signal?: AbortSignal): Promise<void> {
  if (waitMs > 0) await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
}

/** Writes the bytes one at a time, each in a turn of the event loop of its own. */
export async function drip(
  bytes: Uint8Array,
  write: (byte: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let at = 0; at < bytes.length && !signal.aborted; at++) {
    write(bytes.subarray(at, at + 1));
    await setImmediate();
  }
}
