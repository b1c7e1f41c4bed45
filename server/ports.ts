import type { Config } from "./config/config.ts";
import {
  createWyomingServer,
  type WyomingOptions,
  type WyomingServer,
} from "./doors/wyoming/wyoming.ts";
import type { NodeHandler } from "./http/access.ts";
import type { RateLimits } from "./limits/rate-limits.ts";
import type { GatewayLogger, Logger } from "./telemetry/logger.ts";
import { addressOf, createProxyRule } from "./transport/addresses.ts";
import { createPort, type Port, type PortAddress } from "./transport/port.ts";
import { type Certificate, type CertificateStatus, createCertificate } from "./transport/tls.ts";
import type { UpgradeOptions } from "./transport/upgrades.ts";

/** The setting that names a port. */
type PortSetting = "HTTP_PORT" | "GRPC_PORT" | "UPDATE_PORT";

/** The ports of a gateway. */
export type Ports = {
  /** Opens a port; the first reads the certificate. Rejects with an error that names the setting to change. */
  listen(
    setting: PortSetting,
    handle: NodeHandler,
    upgrades?: UpgradeOptions,
  ): Promise<PortAddress>;
  /** Reads the certificate anew, where there is one. Never rejects. */
  reloadCertificate(): Promise<void>;
  /** How the certificate does. Undefined without TLS. */
  tls(): CertificateStatus | undefined;
  /** Asks clients to send no more requests. The ports go on listening. */
  goAway(): void;
  /** Closes all ports, and destroys what is left after `graceMs`. */
  stop(graceMs: number): Promise<void>;
};

/** Creates the ports. None is open yet. */
export function createPorts(config: Config, gatewayLogger: GatewayLogger): Ports {
  const logger = gatewayLogger.room("transport");
  const open: Port[] = [];
  const certificate = openCertificate(config, logger);
  let hasCertificate: Promise<void> | undefined;
  return {
    async listen(setting, handle, upgrades) {
      hasCertificate ??= certificate?.start();
      await hasCertificate;
      const parts = { setting, handle, ...(upgrades && { upgrades }), logger, certificate };
      const port = openPort(config, parts);
      open.push(port);
      return await port.start();
    },
    reloadCertificate: async () => certificate?.reload(),
    tls: () => certificate?.status(),
    goAway() {
      for (const port of open) port.goAway();
    },
    async stop(graceMs) {
      certificate?.stop();
      await Promise.all(open.map((port) => port.stop(graceMs)));
    },
  };
}

/** The certificate that the settings name, if they ask for TLS. */
function openCertificate({ tls }: Config, logger: Logger): Certificate | undefined {
  if (tls === undefined) return undefined;
  return createCertificate({
    ...tls,
    onReload: ({ validTo }) => logger.info({ validTo }, "certificate reloaded"),
    onError: ({ message }) =>
      logger.error({ error: message }, "certificate not reloaded; the one before stays in use"),
  });
}

type PortParts = {
  readonly setting: PortSetting;
  readonly handle: NodeHandler;
  readonly upgrades?: UpgradeOptions;
  readonly logger: Logger;
  readonly certificate: Certificate | undefined;
};

function openPort(config: Config, parts: PortParts): Port {
  const { setting, handle, upgrades, logger, certificate } = parts;
  return createPort({
    host: config.host,
    port: portOf(config, setting),
    settings: { host: "HOST", port: setting },
    handle,
    certificate,
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

/** What the door for Wyoming's clients is made of. */
export type WyomingParts = Pick<WyomingOptions, "conversation" | "synthesizers" | "logger"> & {
  readonly rateLimits: RateLimits;
};

/** The door for Wyoming's clients. This machine may always use it. */
export function openWyoming({ wyoming }: Config, parts: WyomingParts): WyomingServer | undefined {
  if (wyoming === undefined) return undefined;
  const allows = createProxyRule(["127.0.0.0/8", "::1", ...wyoming.allow]);
  const isOpen = wyoming.allow.length > 0;
  const { conversation, synthesizers, logger, rateLimits } = parts;
  return createWyomingServer({
    port: wyoming.port,
    isOpen,
    allows,
    openMeter: (remoteAddress) => rateLimits.open(addressOf({ remoteAddress })),
    conversation,
    synthesizers,
    logger,
  });
}
