import { InvalidRequest } from "../core/errors.ts";
import { webpSize } from "../core/webp.ts";
import type { Screenshot } from "../providers/text/generator.ts";

/** Largest screenshot, in bytes of the WebP file. */
export const MAX_SCREENSHOT_BYTES = 8 * 1024 * 1024;

const MAX_BASE64 = Math.ceil(MAX_SCREENSHOT_BYTES / 3) * 4;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Decodes a base64 WebP screenshot. Absent and "" mean none. Throws `InvalidRequest`. */
export function parseScreenshot(base64: string | undefined): Screenshot | undefined {
  if (!base64) return undefined;
  if (base64.length > MAX_BASE64) {
    throw new InvalidRequest("screenshot", `must be at most ${MAX_SCREENSHOT_BYTES} bytes decoded`);
  }
  // Buffer skips what is not base64, so that half a picture would pass for a whole one.
  if (!BASE64.test(base64) || base64.replace(/=+$/, "").length % 4 === 1) {
    throw new InvalidRequest("screenshot", "must be base64 (RFC 4648, the standard alphabet)");
  }
  const webp = Buffer.from(base64, "base64");
  const size = webpSize(webp);
  if (!size || size.width === 0 || size.height === 0) {
    throw new InvalidRequest("screenshot", "must be a WebP picture");
  }
  return { webp, ...size };
}
