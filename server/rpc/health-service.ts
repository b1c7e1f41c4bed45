import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { onAbort } from "../core/async.ts";
import { type HoldStream, holdStream } from "./connection-key.ts";

/** The parts of the health service. */
export type HealthOptions = {
  /** Full names of the served services. "" (the whole gateway) is always known. */
  readonly services: readonly string[];
  /** Fires when the gateway begins to stop. */
  readonly stopping: AbortSignal;
  /** Counts a stream until the returned function is called. Throws `LimitExceeded`. */
  readonly holdStream: HoldStream;
};

/** gRPC's health protocol: SERVING until the gateway begins to stop. */
export function createHealthService(options: HealthOptions): ServiceImpl<typeof Health> {
  const known = new Set(["", ...options.services]);
  const status = () => (options.stopping.aborted ? Status.NOT_SERVING : Status.SERVING);
  return {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError("no such service here", Code.NotFound);
      return { status: status() };
    },
    async *watch({ service }, context) {
      holdStream(context, options.holdStream);
      if (!known.has(service)) {
        yield { status: Status.SERVICE_UNKNOWN };
        await firstOf(context.signal);
        return;
      }
      yield { status: status() };
      await firstOf(context.signal, options.stopping);
      if (!context.signal.aborted) yield { status: status() };
    },
  };
}

async function firstOf(...signals: readonly AbortSignal[]): Promise<void> {
  const fired = Promise.withResolvers<void>();
  const disposers = signals.map((signal) => onAbort(signal, () => fired.resolve()));
  await fired.promise;
  for (const dispose of disposers) dispose();
}
