import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import type { Screenshot } from "../../models/language-model.ts";

/** The part of the image package that is used. */
type ImagePackage = Pick<typeof import("@napi-rs/image"), "Transformer">;

/** Gives a screenshot as JPEG, at the same size. One that is JPEG already is given as it is. */
export type JpegConverter = (screenshot: Screenshot, signal: AbortSignal) => Promise<Screenshot>;

/** Text on a screen stays readable; the file is a fraction of the PNG's. */
const QUALITY = 85;

/** Conversions at once: each may hold the pixels of an 8K screen twice, some 270 MB. */
const LANES = 2;

/**
 * Makes a converter. It works off the event loop, two conversions at a time, and loads the package
 * with the first. What the pixels may swell to was bounded when the screenshot's header was read.
 *
 * Throws an Error if the package or its binary is missing, or the image cannot be decoded; the
 * signal's reason as soon as it fires. A conversion that has begun runs to its end unheard.
 * `load` is for tests.
 */
export function createJpegConverter(
  load: () => Promise<ImagePackage> = () => import("@napi-rs/image"),
): JpegConverter {
  const lanes: Promise<unknown>[] = Array.from({ length: LANES }, () => Promise.resolve());
  let turn = 0;
  return async (screenshot, signal) => {
    if (screenshot.mimeType === "image/jpeg") return screenshot;
    throwIfAborted(signal);
    const lane = turn++ % LANES;
    const converted = Promise.resolve(lanes[lane]).then(() => convert(load, screenshot, signal));
    lanes[lane] = converted.catch(() => undefined);
    const bytes = await abortable(converted, signal);
    return { ...screenshot, bytes, mimeType: "image/jpeg" };
  };
}

async function convert(
  load: () => Promise<ImagePackage>,
  { bytes }: Screenshot,
  signal: AbortSignal,
): Promise<Uint8Array> {
  throwIfAborted(signal);
  const { Transformer } = await load();
  // The package takes a signal's `onabort` for itself: it gets a signal of its own.
  const call = new AbortController();
  const forget = onAbort(signal, () => call.abort());
  try {
    return await new Transformer(bytes).jpeg(QUALITY, call.signal);
  } finally {
    forget();
  }
}
