import { InvalidRequest } from "../core/errors.ts";
import { readImageHeader } from "../core/images/image.ts";
import type { Screenshot } from "../models/language-model.ts";

/** Largest screenshot, in bytes of the image file. */
export const MAX_SCREENSHOT_BYTES = 8 * 1024 * 1024;

const MAX_BASE64 = Math.ceil(MAX_SCREENSHOT_BYTES / 3) * 4;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Decodes a screenshot: a JPEG, PNG or WebP image in base64. Absent and "" mean none. Throws
 * `InvalidRequest`.
 */
export function parseScreenshot(base64: string | undefined): Screenshot | undefined {
  if (!base64) return undefined;
  if (base64.length > MAX_BASE64) throw tooLarge();
  // Buffer skips what is not base64, so half an image would pass for a whole one.
  const padding = base64.endsWith("==") ? 2 : Number(base64.endsWith("="));
  if (!BASE64.test(base64) || (base64.length - padding) % 4 === 1) {
    throw new InvalidRequest("screenshot", "must be base64 (RFC 4648, the standard alphabet)");
  }
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length > MAX_SCREENSHOT_BYTES) throw tooLarge();
  return { bytes, ...readImageHeader(bytes, "screenshot") };
}

function tooLarge(): InvalidRequest {
  return new InvalidRequest("screenshot", `must be at most ${MAX_SCREENSHOT_BYTES} bytes decoded`);
}
