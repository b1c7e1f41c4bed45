import { fileURLToPath } from "node:url";
import { type Agent, createAgent } from "./agent/agent.ts";
import { type Authenticator, createAuthenticator } from "./auth/authenticator.ts";
import { type Cluster, openCluster } from "./cluster-parts.ts";
import type { Config } from "./config/config.ts";
import { createActiveTurns } from "./conversation/active-turns.ts";
import type { ActiveTurns } from "./conversation/active-turns-contract.ts";
import { openConversation } from "./conversation-parts.ts";
import { createEncoders } from "./encoding/encoders.ts";
import { openFeed } from "./feed.ts";
import { createStatus, gaugeValues, watchStatus } from "./gateway-status.ts";
import { createFeedHandler, createHandler, type HandlerOptions } from "./handler.ts";
import { readPage } from "./http/page.ts";
import type { GatewayStatus } from "./http/status.ts";
import { openLimits } from "./limit-gate.ts";
import { createObservers } from "./observers.ts";
import { createPorts, openWyoming, type Ports, type WyomingParts } from "./ports.ts";
import { openStores, type Stores } from "./stores.ts";
import type { GatewayLogger, Logger } from "./telemetry/logger.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import { createUsageCounts } from "./telemetry/usage.ts";
import { openProviders, type ProviderOverrides, type Stoppable, startProviders } from "./tiers.ts";
import type { RunningMirror } from "./updates/release-mirror.ts";

/** Replaces parts that the settings ask for. */
export type AppOverrides = ProviderOverrides & {
  readonly logger?: Logger | GatewayLogger;
  /** As `HandlerOptions` has it. */
  readonly responseWire?: boolean;
};

/** Where a gateway listens. */
export type Address = { readonly host: string; readonly port: number };

/** Where each port of a gateway listens. */
export type Addresses = {
  readonly grpc: Address;
  readonly http: Address;
  /** The update feed's own port, with `UPDATE_ENABLED`. */
  readonly updates?: Address;
  /** The door for Wyoming's clients, with `WYOMING_PORT`. */
  readonly wyoming?: Address;
};

/** One gateway. */
export type App = {
  /** Starts the providers and listens. Rejects if a port is not available. */
  start(): Promise<Addresses>;
  /**
   * Refuses new turns and lets those in progress end within `SHUTDOWN_GRACE`; then cancels every turn,
   * closes every connection and frees the providers. Later calls return the result of the first.
   */
  stop(): Promise<void>;
  status(): GatewayStatus;
  /** Reads the certificate anew, where there is one. Open connections go on. Never rejects. */
  reloadCertificate(): Promise<void>;
};

/** The folder of the built page. */
const PAGE_FOLDER = new URL("../web/dist", import.meta.url);

/** The least milliseconds for streams to end once their turns are cancelled. */
const STOP_GRACE_MS = 1000;

/** Puts a gateway together. Nothing runs before `start`. */
export function createApp(config: Config, overrides: AppOverrides = {}): App {
  const observers = createObservers(config, overrides.logger, () =>
    gaugeValues(status(), stopping.signal, providers.synthesizers),
  );
  const { logger, activity } = observers;
  const usage = createUsageCounts();
  const agent = openAgent(config, logger);
  const stopping = new AbortController();
  const providers = openProviders(config, overrides, { activity, agent });
  const cluster = openCluster(config, logger.room("cluster"));
  const activeTurns = createActiveTurns(config, cluster.registry);
  const stores = openStores(config, logger, cluster.redis);
  const limits = openLimits(config, { usage, redis: cluster.redis, storage: stores.storage });
  const encoders = createEncoders();
  const keepers = { ...stores, ...limits, ...cluster, activeTurns };
  const own = { ...providers, ...observers.turns, encoders };
  const conversation = openConversation(config, keepers, own);
  const { releases, mirror } = openFeed(config, logger);
  const ports = createPorts(config, logger);
  const state = { activity, usage, activeTurns, ports, stopping: stopping.signal };
  const observed = { ...state, ...limits, conversation, cluster, stores, releases };
  const status = createStatus({ ...observed, providers, agent });
  const parts = {
    conversation,
    ...limits,
    ...providers,
    ...observers,
    stores,
    agent,
    authenticator: openAuthenticator(config, logger),
    encoders,
    releases,
    readStatus: status,
    holdStream: activeTurns.hold,
    stopping: stopping.signal,
    responseWire: overrides.responseWire ?? true,
  };
  const running: Stoppable[] = [parts.encoders];
  const stop = createStop(config, { ...parts, activeTurns, ports, stopping, running });
  const start = async () => {
    for (const warning of config.warnings) logger.warn({}, warning);
    running.push(...(await startStores({ cluster, stores, mirror }, stopping.signal)));
    running.push(watchStatus(status), ...(await startObservers(parts)));
    running.push(...(await startProviders(providers, stopping.signal, activity.onStartError)));
    const addresses = await listen(config, ports, parts);
    agent.start();
    return { ...addresses, ...(await startWyoming(config, parts, running)) };
  };
  return {
    start: () => start().catch(async (error) => stop().then(() => Promise.reject(error))),
    stop,
    status,
    reloadCertificate: ports.reloadCertificate,
  };
}

type Parts = Omit<HandlerOptions, "page"> & {
  readonly metrics: Metrics;
  readonly synthesizers: WyomingParts["synthesizers"];
};

type StoreParts = {
  readonly cluster: Cluster;
  readonly stores: Stores;
  readonly mirror: RunningMirror | undefined;
};

/** Starts what keeps data, and what is shared with other instances. */
async function startStores(
  { cluster, stores, mirror }: StoreParts,
  signal: AbortSignal,
): Promise<readonly Stoppable[]> {
  await cluster.start();
  await stores.start(signal);
  mirror?.start();
  return [cluster, stores, mirror].filter((part) => part !== undefined);
}

/** Starts what checks and measures requests. */
async function startObservers(parts: Parts): Promise<readonly Stoppable[]> {
  const { authenticator, metrics, tracing } = parts;
  await tracing?.start();
  await authenticator?.start();
  metrics.start();
  return [tracing, metrics, authenticator].filter((part) => part !== undefined);
}

async function listen(config: Config, ports: Ports, parts: Parts): Promise<Addresses> {
  const page = await readPage(fileURLToPath(PAGE_FOLDER));
  const { handle, upgrades } = createHandler(config, { ...parts, page });
  const addresses = {
    http: await ports.listen("HTTP_PORT", handle, upgrades),
    grpc: await ports.listen("GRPC_PORT", handle, upgrades),
  };
  if (config.updates.port === undefined) return addresses;
  const updates = await ports.listen("UPDATE_PORT", createFeedHandler(config, parts));
  return { ...addresses, updates };
}

/** Opens the door for Wyoming's clients, if it is wanted. */
async function startWyoming(config: Config, parts: Parts, running: Stoppable[]) {
  const wyoming = openWyoming(config, parts);
  if (wyoming === undefined) return {};
  running.push(wyoming);
  return { wyoming: await wyoming.start() };
}

type StopParts = Pick<Parts, "conversation" | "agent"> & {
  readonly activeTurns: ActiveTurns;
  readonly ports: Ports;
  readonly stopping: AbortController;
  /** What else is to be stopped, the last one first. */
  readonly running: Stoppable[];
};

/** Creates the function that drains the gateway and stops its parts, once. */
function createStop(config: Config, parts: StopParts): () => Promise<void> {
  const { conversation, agent, activeTurns, ports, stopping, running } = parts;
  const stop = async () => {
    stopping.abort();
    activeTurns.close("shutdown");
    ports.goAway();
    const endMs = performance.now() + config.shutdownGraceMs;
    await settlesWithin(activeTurns.untilIdle(), config.shutdownGraceMs);
    conversation.stop();
    // No call of it may keep a port open.
    await agent.stop();
    await ports.stop(Math.max(STOP_GRACE_MS, endMs - performance.now()));
    for (const part of running.splice(0).reverse()) await part.stop();
  };
  let stopped: Promise<void> | undefined;
  return () => {
    stopped ??= stop();
    return stopped;
  };
}

/** Resolves when the promise does, or after so many milliseconds. */
async function settlesWithin(promise: Promise<void>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

function openAgent(
  { agent, grpcPort, httpPort, maxMessageBytes }: Config,
  logger: GatewayLogger,
): Agent {
  const reservedPorts = [grpcPort, httpPort];
  const options = { ...agent, times: agent, maxMessageBytes, reservedPorts };
  return createAgent(options, logger.room("agent"));
}

function openAuthenticator({ auth }: Config, logger: GatewayLogger): Authenticator | undefined {
  if (auth === undefined) return undefined;
  const onError = ({ message }: Error) =>
    logger
      .room("access")
      .error({ error: message }, "tokens not reloaded; the ones read before stay valid");
  return createAuthenticator({ ...auth, onError });
}
