import { Hono } from "hono";
import { deviceOf, signalOf } from "../auth/caller.ts";
import type { Callers } from "../auth/gate.ts";
import type { Screenshots } from "../conversation/screenshots.ts";
import { parseDeviceId } from "../conversation/sessions.ts";
import { InvalidRequest } from "../core/errors.ts";
import { problem, problemResponse } from "./problem.ts";

/** The header that names the device, where no token does. With a token it may be left out. */
export const DEVICE_HEADER = "x-hardware-id";

/**
 * `GET /v1/screenshots/{id}`: a picture, to the device that sent it. For every other it is as if there
 * were none. Without `screenshots` there are none.
 */
export function screenshotRoutes(screenshots: Screenshots | undefined, callers: Callers): Hono {
  const routes = new Hono<{ Bindings: { readonly incoming: object } }>();
  routes.get("/v1/screenshots/:id", async ({ req, env }) => {
    const caller = callers.callerOf(env.incoming);
    const deviceId = parseDevice(deviceOf(caller, textOf(req.header(DEVICE_HEADER))));
    const signal = signalOf(caller, req.raw.signal);
    const found = await screenshots?.find(deviceId, req.param("id"), signal);
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
  return routes as unknown as Hono;
}

/** Node reads headers as Latin-1, and an id is UTF-8. */
function textOf(header = ""): string {
  return Buffer.from(header, "latin1").toString("utf8");
}

function parseDevice(deviceId: string): string {
  try {
    return parseDeviceId(deviceId);
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    throw new InvalidRequest(DEVICE_HEADER, error.message.replace(/^hardware_id /, ""));
  }
}
