import { Hono } from "hono";
import type { Screenshots } from "../conversation/screenshots.ts";
import { parseDeviceId } from "../conversation/sessions.ts";
import { InvalidRequest } from "../core/errors.ts";
import { problem, problemResponse } from "./problem.ts";

/** The header that names the device, where no token does. */
export const DEVICE_HEADER = "x-hardware-id";

/**
 * `GET /v1/screenshots/{id}`: a picture, to the device that sent it. For every other it is as if there
 * were none. Without `screenshots` there are none.
 */
export function screenshotRoutes(screenshots: Screenshots | undefined): Hono {
  const routes = new Hono();
  routes.get("/v1/screenshots/:id", async ({ req }) => {
    const deviceId = deviceOf(req.header(DEVICE_HEADER));
    const found = await screenshots?.find(deviceId, req.param("id"), req.raw.signal);
    if (!found) {
      return problemResponse(problem(404, "not_found", "the device sent no such screenshot"));
    }
    return new Response(found.bytes as Uint8Array<ArrayBuffer>, {
      headers: {
        "content-type": found.mimeType,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      },
    });
  });
  return routes;
}

/** Node reads headers as Latin-1, and an id is UTF-8. */
function deviceOf(header: string | undefined): string {
  try {
    return parseDeviceId(Buffer.from(header ?? "", "latin1").toString("utf8"));
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    throw new InvalidRequest(DEVICE_HEADER, error.message.replace(/^hardware_id /, ""));
  }
}
