import { Hono } from "hono";
import type { Callers } from "../auth/gate.ts";
import type { Screenshots } from "../conversation/screenshots.ts";
import { type NodeEnv, readDevice } from "./device.ts";
import { problem, problemResponse } from "./problem.ts";

/**
 * `GET /v1/screenshots/{id}`: a picture, to the device that sent it. For every other it is as if there
 * were none. Without `screenshots` there are none.
 */
export function screenshotRoutes(screenshots: Screenshots | undefined, callers: Callers): Hono {
  const routes = new Hono<NodeEnv>();
  routes.get("/v1/screenshots/:id", async (context) => {
    const { deviceId, signal } = readDevice(context, callers);
    const found = await screenshots?.find(deviceId, context.req.param("id"), signal);
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
