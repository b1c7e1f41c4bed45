import { setImmediate, setTimeout } from "node:timers/promises";
import type { EmulatorScript, Fault } from "./script.ts";

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
