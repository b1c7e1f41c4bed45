import type { ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { Config } from "./config.ts";
import { type NodeHandler, withCors } from "./http/cors.ts";
import { createHostRule } from "./http/hosts.ts";
import { refuse } from "./http/refusal.ts";
import { createHttpHandler, type RouteOptions } from "./http/routes.ts";
import { readContext } from "./rpc/connection-key.ts";
import { clampDeadline } from "./rpc/deadline.ts";
import { createReframe } from "./rpc/envelopes.ts";
import { createHealthService, type HealthOptions } from "./rpc/health-service.ts";
import { REASON_TRAILER } from "./rpc/status.ts";
import { createStreamingService } from "./rpc/streaming-service.ts";
import type { UsageCounts } from "./telemetry/usage.ts";

/** What the handler is made of. */
export type HandlerOptions = RouteOptions &
  Pick<HealthOptions, "holdStream"> & {
    /** Counts the tokens that clients report. */
    readonly usage: UsageCounts;
  };

/**
 * The one request handler behind every port: RPCs in gRPC, gRPC-Web and Connect, and Hono's routes
 * for all other paths. Names that are not the gateway's, and pages that may not call, get no further
 * than this.
 */
export function createHandler(config: Config, options: HandlerOptions): NodeHandler {
  const http = createHttpHandler(options);
  const rpc = connectNodeAdapter({
    routes(router) {
      router.service(StreamingService, createStreamingService(options.conversation, options.usage));
      router.service(
        Health,
        createHealthService({
          services: [StreamingService.typeName, Health.typeName],
          stopping: options.stopping,
          holdStream: options.holdStream,
        }),
      );
    },
    // Only the types of write() differ: connect-node narrows them.
    fallback: (request, response) => http(request, response as ServerResponse),
    contextValues: readContext,
    readMaxBytes: config.maxMessageBytes,
    // Sound does not shrink: compressing it would only delay it.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
  });
  const reframe = createReframe({ maxMessageBytes: config.maxMessageBytes });
  const handle: NodeHandler = (request, response) => {
    clampDeadline(request.headers);
    reframe(request);
    rpc(request, response);
  };
  const answer = withCors(handle, {
    origins: config.corsOrigins,
    allowedHeaders: cors.allowedHeaders,
    exposedHeaders: [...cors.exposedHeaders, REASON_TRAILER],
  });
  const findHostProblem = createHostRule(config);
  return (request, response) => {
    const refusal = findHostProblem(request);
    if (refusal) refuse(request, response, refusal);
    else answer(request, response);
  };
}
