import { abortable, onAbort, throwIfAborted } from "../../core/async.ts";
import type { Screenshot } from "../../models/language-model.ts";

/** The part of the image package that is used. */
type ImagePackage = Pick<typeof import("@napi-rs/image"), "Transformer">;

/** Converts a screenshot to JPEG at the same size. Returns a JPEG unchanged. */
export type JpegConverter = (screenshot: Screenshot, signal: AbortSignal) => Promise<Screenshot>;

/** Keeps text readable, at a fraction of the PNG's size. */
const QUALITY = 85;

/** Concurrent conversions. Each may hold the pixels of an 8K screen twice, about 270 MB. */
const CONCURRENCY = 2;

/**
 * Creates a converter. It runs off the event loop, two conversions at a time, and loads the package
 * on first use. The number of pixels was limited when the screenshot's header was read.
 *
 * Throws an Error if the package or its binary is missing, or the image cannot be decoded; throws the
 * signal's reason as soon as it fires, while a conversion that has begun runs to its end.
 * `load` is for tests.
 */
export function createJpegConverter(
  load: () => Promise<ImagePackage> = () => import("@napi-rs/image"),
): JpegConverter {
  const lanes: Promise<unknown>[] = Array.from({ length: CONCURRENCY }, () => Promise.resolve());
  let turn = 0;
  return async (screenshot, signal) => {
    if (screenshot.mimeType === "image/jpeg") return screenshot;
    throwIfAborted(signal);
    const lane = turn++ % CONCURRENCY;
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
  // The package overwrites a signal's `onabort`, so it gets a signal of its own.
  const call = new AbortController();
  const removeListener = onAbort(signal, () => call.abort());
  try {
    return await new Transformer(bytes).jpeg(QUALITY, call.signal);
  } finally {
    removeListener();
  }
}
