import { fileURLToPath } from "node:url";
import packageJson from "../package.json" with { type: "json" };
import {
  type LanguageModelListener,
  type OnError,
  openLanguageModels,
  openSynthesizers,
} from "./adapters.ts";
import { type Agent, createAgent } from "./agent/agent.ts";
import type { Config } from "./config/config.ts";
import { type ActiveTurns, createActiveTurns } from "./conversation/active-turns.ts";
import { createConversation } from "./conversation/conversation.ts";
import { createHistory } from "./conversation/history.ts";
import { loadLanguageDetector } from "./core/text/language.ts";
import { createTier, type Tier } from "./failover/tier.ts";
import { createHandler } from "./handler.ts";
import type { NodeHandler } from "./http/access.ts";
import { readPage } from "./http/page.ts";
import type { GatewayStatus } from "./http/status.ts";
import type { LanguageModel } from "./models/language-model.ts";
import type { Synthesizer } from "./models/synthesizer.ts";
import type { RecordUsage } from "./rpc/streaming-service.ts";
import { createStorage, type Storage } from "./storage/storage.ts";
import { type Activity, createActivity } from "./telemetry/activity.ts";
import { createLogger, type Logger } from "./telemetry/logger.ts";
import { createUsageCounts, type UsageCounts } from "./telemetry/usage.ts";
import { createProxyRule } from "./transport/connections.ts";
import { createPort } from "./transport/port.ts";

/** Replaces parts that the settings ask for. */
export type AppOverrides = {
  readonly languageModels?: readonly LanguageModel[];
  readonly synthesizers?: readonly Synthesizer[];
  readonly logger?: Logger;
  /** As `HandlerOptions` has it. */
  readonly responseWire?: boolean;
};

/** Where a gateway listens. */
export type Address = { readonly host: string; readonly port: number };

/** One gateway. */
export type App = {
  /** Starts the providers and listens. Rejects if a port is not available. */
  start(): Promise<{ readonly grpc: Address; readonly http: Address }>;
  /** Cancels every turn, closes every connection and frees the providers. */
  stop(): Promise<void>;
  status(): GatewayStatus;
};

/** The folder of the built page. */
const PAGE_FOLDER = new URL("../web/dist", import.meta.url);

/** Milliseconds for streams to end once their turns are cancelled. */
const STOP_GRACE_MS = 1000;

/** Puts a gateway together. Nothing runs before `start`. */
export function createApp(config: Config, overrides: AppOverrides = {}): App {
  const logger = overrides.logger ?? createLogger(config.logLevel);
  const activity = createActivity(logger, config.logTurns);
  const usage = createUsageCounts();
  const agent = openAgent(config, logger);
  const providers = openProviders(config, overrides, { activity, agent });
  const activeTurns = createActiveTurns(config);
  const storage = openStorage(config, logger);
  const rules = { ...rulesOf(config), activeTurns, store: storage };
  const conversation = createConversation({ ...providers, ...activity, ...rules });
  const stopping = new AbortController();
  const status = createStatus({ providers, agent, activity, usage, activeTurns, storage });
  const running: Stoppable[] = [];

  const listen = async (setting: PortSetting, handle: NodeHandler) => {
    const listener = openPort(config, { setting, handle, logger });
    running.push({ stop: () => listener.stop(STOP_GRACE_MS) });
    return await listener.start();
  };
  const stop = async () => {
    stopping.abort();
    conversation.stop();
    for (const part of running.splice(0).reverse()) await part.stop();
  };
  const start = async () => {
    for (const warning of config.warnings) logger.warn({}, warning);
    // In its thread, while the gateway begins to serve.
    if (storage) running.push(storage);
    void storage?.start();
    running.push(...(await startProviders(providers, stopping.signal, activity.onStartError)));
    const page = await readPage(fileURLToPath(PAGE_FOLDER));
    const handle = createHandler(config, {
      conversation,
      recordUsage: createUsageRecorder(usage, storage),
      agent,
      page,
      readStatus: status,
      holdStream: activeTurns.hold,
      stopping: stopping.signal,
      logger,
      responseWire: overrides.responseWire ?? true,
    });
    const addresses = {
      http: await listen("HTTP_PORT", handle),
      grpc: await listen("GRPC_PORT", handle),
    };
    // It is stopped first, so that no call of it keeps a port open.
    running.push(agent);
    agent.start();
    return addresses;
  };
  return {
    start: () => start().catch(async (error) => stop().then(() => Promise.reject(error))),
    stop,
    status,
  };
}

type PortSetting = "HTTP_PORT" | "GRPC_PORT";

type PortParts = {
  readonly setting: PortSetting;
  readonly handle: NodeHandler;
  readonly logger: Logger;
};

function openPort(config: Config, { setting, handle, logger }: PortParts) {
  return createPort({
    host: config.host,
    port: setting === "HTTP_PORT" ? config.httpPort : config.grpcPort,
    settings: { host: "HOST", port: setting },
    handle,
    isProxy: createProxyRule(config.trustedProxies),
    onStall: () => logger.warn({}, "a client stopped reading and was cut off"),
    onError: (error) => logger.error({ error: String(error) }, "a request failed"),
  });
}

function openAgent({ agent, grpcPort, httpPort, maxMessageBytes }: Config, logger: Logger): Agent {
  const reservedPorts = [grpcPort, httpPort];
  return createAgent({ ...agent, times: agent, maxMessageBytes, reservedPorts }, logger);
}

function rulesOf({ frameMs, failsOverWithheld }: Config) {
  return { frameMs, failsOverWithheld, history: createHistory() };
}

/** Absent where nothing is stored: then no file is touched. */
function openStorage({ database }: Config, logger: Logger): Storage | undefined {
  if (!database.isEnabled) return undefined;
  const { isEnabled: _, ...options } = database;
  return createStorage({ ...options, logger });
}

function createUsageRecorder(usage: UsageCounts, storage: Storage | undefined): RecordUsage {
  return async (report) => {
    usage.record(report);
    await storage?.recordUsage(report);
  };
}

type Stoppable = { stop(): Promise<void> };

type Providers = {
  readonly languageModels: readonly Tier<LanguageModel>[];
  readonly synthesizers: readonly Tier<Synthesizer>[];
};

function openProviders(
  config: Config,
  overrides: AppOverrides,
  {
    activity: listener,
    agent,
  }: { readonly activity: LanguageModelListener; readonly agent: Agent },
): Providers {
  const languageModels = overrides.languageModels ?? openLanguageModels(config, listener, agent);
  const synthesizers = overrides.synthesizers ?? openSynthesizers(config, listener.onError);
  return {
    languageModels: languageModels.map((each) =>
      // One breaker knows what turns and calls found, and closes when a new agent is ready.
      createTier(each, config.textTimeouts, each.name === "agent" ? agent.breaker : undefined),
    ),
    synthesizers: synthesizers.map((each) => createTier(each, config.speechTimeouts)),
  };
}

/** If a provider cannot start, its calls fail and say why; the others serve. */
async function startProviders(
  { languageModels, synthesizers }: Providers,
  signal: AbortSignal,
  onError: OnError,
): Promise<readonly Stoppable[]> {
  // The language of a sentence matters where a voice speaks some languages only.
  if (synthesizers.some(({ provider }) => provider.languages)) await loadLanguageDetector();
  const all = [...languageModels, ...synthesizers].map(({ provider }) => provider);
  const start = async (provider: LanguageModel | Synthesizer) => {
    try {
      await provider.start?.(signal);
    } catch (error) {
      onError(provider.name, error);
    }
  };
  await Promise.all(all.map(start));
  return all.map((provider) => ({ stop: async () => provider.stop?.() }));
}

type StatusParts = {
  readonly providers: Providers;
  readonly agent: Agent;
  readonly activity: Activity;
  readonly usage: UsageCounts;
  readonly activeTurns: ActiveTurns;
  readonly storage: Storage | undefined;
};

/** Reads what `/status` answers. */
function createStatus(parts: StatusParts): () => GatewayStatus {
  const createdMs = performance.now();
  const { providers, agent, activity, usage, activeTurns, storage } = parts;
  const statusOf =
    (kind: "text" | "speech") =>
    ({ provider, breaker }: Tier<{ readonly name: string }>) => ({
      name: provider.name,
      kind,
      breaker: breaker.state(),
      ...activity.statistics(provider.name),
    });
  return () => ({
    name: "parley",
    version: packageJson.version,
    uptimeSeconds: Math.round((performance.now() - createdMs) / 1000),
    activeSessions: activeTurns.count(),
    providers: [
      ...providers.languageModels.map(statusOf("text")),
      ...providers.synthesizers.map(statusOf("speech")),
    ],
    modules: [{ name: "agent", ...agent.status() }],
    failovers: activity.failovers(),
    turns: activity.turns(),
    usage: usage.totals(),
    storage: storage?.status() ?? { state: "off" },
  });
}
