import type { ServerResponse } from "node:http";
import { cors } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { StreamingService } from "../gen/streaming/streaming_pb.ts";
import type { Config } from "./config.ts";
import { type NodeHandler, withCors } from "./http/cors.ts";
import { createHttpHandler, type RouteOptions } from "./http/routes.ts";
import { createReframe } from "./rpc/envelopes.ts";
import { translateWebText } from "./rpc/grpc-web-text.ts";
import { createHealthService } from "./rpc/health-service.ts";
import { createNegotiation } from "./rpc/negotiation.ts";
import { REASON_TRAILER } from "./rpc/status.ts";
import { createStreamingService } from "./rpc/streaming-service.ts";

const services = [StreamingService, Health];

/**
 * The one request handler behind every port: RPCs in gRPC, gRPC-Web and Connect, and Hono's routes
 * for all other paths.
 */
export function createHandler(config: Config, options: RouteOptions): NodeHandler {
  const http = createHttpHandler(options);
  const rpc = connectNodeAdapter({
    routes(router) {
      router.service(StreamingService, createStreamingService(options.conversation));
      router.service(
        Health,
        createHealthService({
          services: services.map(({ typeName }) => typeName),
          stopping: options.stopping,
        }),
      );
    },
    // Only the types of write() differ: connect-node narrows them.
    fallback: (request, response) => http(request, response as ServerResponse),
    readMaxBytes: config.maxMessageBytes,
    // Sound does not shrink: compressing it would only delay it.
    compressMinBytes: Number.MAX_SAFE_INTEGER,
  });
  const reframe = createReframe({ maxMessageBytes: config.maxMessageBytes });
  const negotiate = createNegotiation(services);
  const handle: NodeHandler = (request, response) => {
    if (!negotiate(request, response)) return;
    reframe(request);
    translateWebText(request, response);
    rpc(request, response);
  };
  return withCors(handle, {
    origins: config.corsOrigins,
    allowedHeaders: cors.allowedHeaders,
    exposedHeaders: [...cors.exposedHeaders, REASON_TRAILER],
  });
}
