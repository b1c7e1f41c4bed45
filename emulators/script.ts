import { setImmediate, setTimeout } from "node:timers/promises";

/**
 * What goes wrong at an emulated provider.
 * - `refuse`: the connection is refused, or closed before an answer.
 * - `unauthorized`, `forbidden`: the provider's own response to a wrong key, or a key without access.
 * - `rate-limit`: 429 with `Retry-After`, or its equivalent; `quota`: the same for an exhausted account.
 * - `html-500`: status 500 with an HTML page, as from a proxy.
 * - `hang`: nothing more is sent, and the connection stays open.
 * - `drip`: everything is sent byte by byte.
 * - `cut`: the connection breaks in the middle of a frame or message.
 * - `empty`: the response ends properly, without more content.
 * - `malformed`: invalid JSON, or an invalid frame.
 * - `wrong-rate`: audio at another rate than requested, stated if the protocol can state it.
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

/** A fault, and when it happens. */
export type Fault = {
  readonly kind: FaultKind;
  /** Number of parts (deltas, pieces of audio) before it; 0 if absent. */
  readonly afterParts?: number;
  /** Number of handshakes of a speech service that fail; all if absent. */
  readonly handshakes?: number;
  /** The `Retry-After` of `rate-limit`; 1 if absent. */
  readonly retryAfterSeconds?: number;
};

/** How an emulated provider responds. Times are 0 if absent. */
export type EmulatorScript = {
  /** Milliseconds to accept a new connection. */
  readonly connectMs?: number;
  /** Milliseconds before the first part. */
  readonly firstPartMs?: number;
  /** Milliseconds between two parts. */
  readonly partMs?: number;
  /** The deltas of a text provider's reply. A voice speaks the text that it gets. */
  readonly deltas?: readonly string[];
  /**
   * When a voice sends its word boundaries: each before its audio, if absent; after it (`late`); in
   * pairs after the audio of both, the second first (`shuffled`); or never (`absent`).
   */
  readonly timings?: "late" | "shuffled" | "absent";
  /** True if a voice's audio is silence. */
  readonly silent?: boolean;
  readonly fault?: Fault;
};

/** A provider's server on loopback that speaks its wire protocol to the real SDK. */
export type Emulator<Request> = {
  /** Where it listens: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The requests that it got, decoded, oldest first. */
  readonly requests: readonly Request[];
  /** Sets the script for the next requests. */
  play(script: EmulatorScript): void;
  /** Requests in progress: 0 soon after a cancel. */
  active(): number;
  /** Closes every connection and the port. */
  stop(): Promise<void>;
};

/** A step of a scripted response: a delta, the fault, or the end. */
export type Step =
  | { readonly type: "delta"; readonly text: string }
  | { readonly type: "fault"; readonly fault: Fault }
  | { readonly type: "end" };

/**
 * The steps of a response, with the script's delays between them. `drip` is not a step: it is how
 * everything is sent. Ends without an error when the signal fires.
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

/** Waits until the time has passed or the signal fires. 0 does not wait at all. */
export async function rest(waitMs: number, signal?: AbortSignal): Promise<void> {
  if (waitMs > 0) await setTimeout(waitMs, undefined, { signal }).catch(() => undefined);
}

/** Writes the bytes one at a time, each in its own iteration of the event loop. */
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
