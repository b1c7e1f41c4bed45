import type { Config } from "./config/config.ts";
import {
  createWyomingServer,
  type WyomingOptions,
  type WyomingServer,
} from "./doors/wyoming/wyoming.ts";
import type { NodeHandler } from "./http/access.ts";
import type { GatewayLogger, Logger } from "./telemetry/logger.ts";
import { createProxyRule } from "./transport/connections.ts";
import { createPort, type Port, type PortAddress } from "./transport/port.ts";
import type { UpgradeOptions } from "./transport/upgrades.ts";

/** The setting that names a port. */
type PortSetting = "HTTP_PORT" | "GRPC_PORT" | "UPDATE_PORT";

/** The ports of a gateway. */
export type Ports = {
  /** Opens a port. Rejects with an error that names the setting to change. */
  listen(
    setting: PortSetting,
    handle: NodeHandler,
    upgrades?: UpgradeOptions,
  ): Promise<PortAddress>;
  /** Asks clients to send no more requests. The ports go on listening. */
  goAway(): void;
  /** Closes all ports, and destroys what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

/** Creates the ports. None is open yet. */
export function createPorts(config: Config, gatewayLogger: GatewayLogger): Ports {
  const logger = gatewayLogger.room("transport");
  const open: Port[] = [];
  return {
    async listen(setting, handle, upgrades) {
      const port = openPort(config, { setting, handle, ...(upgrades && { upgrades }), logger });
      open.push(port);
      return await port.start();
    },
    goAway() {
      for (const port of open) port.goAway();
    },
    async stop(graceMs) {
      await Promise.all(open.map((port) => port.stop(graceMs)));
    },
  };
}

type PortParts = {
  readonly setting: PortSetting;
  readonly handle: NodeHandler;
  readonly upgrades?: UpgradeOptions;
  readonly logger: Logger;
};

function openPort(config: Config, { setting, handle, upgrades, logger }: PortParts): Port {
  return createPort({
    host: config.host,
    port: portOf(config, setting),
    settings: { host: "HOST", port: setting },
    handle,
    ...(upgrades && { upgrades }),
    isProxy: createProxyRule(config.trustedProxies),
    onStall: () => logger.warn({}, "a client stopped reading and was cut off"),
    onError: (error) => logger.error({ error: String(error) }, "a request failed"),
  });
}

function portOf({ httpPort, grpcPort, updates }: Config, setting: PortSetting): number {
  if (setting === "UPDATE_PORT") return updates.port ?? 0;
  return setting === "HTTP_PORT" ? httpPort : grpcPort;
}

/** The door for Wyoming's clients. This machine may always use it. */
export function openWyoming(
  { wyoming }: Config,
  parts: Pick<WyomingOptions, "conversation" | "synthesizers" | "logger">,
): WyomingServer | undefined {
  if (wyoming === undefined) return undefined;
  const allows = createProxyRule(["127.0.0.0/8", "::1", ...wyoming.allow]);
  const isOpen = wyoming.allow.length > 0;
  const { conversation, synthesizers, logger } = parts;
  return createWyomingServer({
    port: wyoming.port,
    isOpen,
    allows,
    conversation,
    synthesizers,
    logger,
  });
}
