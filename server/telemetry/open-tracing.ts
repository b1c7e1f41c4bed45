import type { Tracing, TracingOptions } from "./tracing.ts";

/** Makes the tracing of a gateway. The SDK is loaded by `start`, and nowhere else. */
export function createTracing(options: TracingOptions): Tracing {
  let running: Omit<Tracing, "start"> | undefined;
  return {
    async start() {
      const { openTracing } = await import("./opentelemetry.ts");
      running = openTracing(options);
    },
    beginRequest: (request) => running?.beginRequest(request),
    beginTurn: (ids, request) => running?.beginTurn(ids, request),
    async stop() {
      await running?.stop();
    },
  };
}
