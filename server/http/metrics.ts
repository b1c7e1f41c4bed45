import { Hono } from "hono";
import type { Metrics } from "../telemetry/metrics.ts";

/** `GET /metrics`: the metrics in Prometheus' text format. */
export function metricsRoutes({ render }: Pick<Metrics, "render">): Hono {
  return new Hono().get("/metrics", async () => {
    const { text, contentType } = await render();
    return new Response(text, {
      headers: { "content-type": contentType, "cache-control": "no-store" },
    });
  });
}
