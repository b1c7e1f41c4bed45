import { fileURLToPath } from "node:url";
import packageJson from "../package.json" with { type: "json" };
import {
  type LanguageModelListener,
  type OnError,
  openLanguageModels,
  openSynthesizers,
} from "./adapters.ts";
import type { Config } from "./config/config.ts";
import { type ActiveTurns, createActiveTurns } from "./conversation/active-turns.ts";
import { createCollectedPrompts } from "./conversation/collected-prompts.ts";
import {
  type Conversation,
  createConversation,
  type TurnReport,
} from "./conversation/conversation.ts";
import { createHistory } from "./conversation/history.ts";
import { createStages } from "./conversation/stages.ts";
import { oneLine, ProviderError } from "./core/errors.ts";
import { createTier, type Tier, type TierFailover, type TierOutcome } from "./failover/tiers.ts";
import { createHandler } from "./handler.ts";
import type { NodeHandler } from "./http/access.ts";
import { readPage } from "./http/page.ts";
import type { GatewayStatus } from "./http/status.ts";
import type { LanguageModel } from "./models/language-model.ts";
import type { Synthesizer } from "./models/synthesizer.ts";
import { createFailovers } from "./telemetry/failovers.ts";
import { createLogger, type LogFields, type Logger } from "./telemetry/logger.ts";
import { createProviderStatistics } from "./telemetry/provider-statistics.ts";
import { createUsageCounts } from "./telemetry/usage.ts";
import { createProxyRule } from "./transport/client-address.ts";
import { createPort } from "./transport/port.ts";

/** What may stand in the place of the parts that the settings ask for. */
export type AppOverrides = {
  readonly languageModels?: readonly LanguageModel[];
  readonly synthesizers?: readonly Synthesizer[];
  readonly logger?: Logger;
};

/** Where a gateway listens. */
export type Address = { readonly host: string; readonly port: number };

/** One gateway. */
export type App = {
  /** Makes the providers ready and listens. Rejects if a port cannot be had. */
  start(): Promise<{ readonly grpc: Address; readonly http: Address }>;
  /** Cancels every turn, closes every connection and frees the providers. */
  stop(): Promise<void>;
  status(): GatewayStatus;
};

/** The folder of the built page. */
const PAGE_FOLDER = new URL("../web/dist", import.meta.url);

/** Milliseconds that streams get to end after their turns were cancelled. */
const STOP_GRACE_MS = 1000;

/** Puts a gateway together. Nothing runs before `start`. */
export function createApp(config: Config, overrides: AppOverrides = {}): App {
  const logger = overrides.logger ?? createLogger(config.logLevel);
  const activity = watchActivity(config, logger);
  const providers = openProviders(config, overrides, activity);
  const activeTurns = createActiveTurns(config);
  const conversation = openConversation(config, { providers, activeTurns, activity });
  const stopping = new AbortController();
  const status = () => ({
    ...activity.read(providers),
    version: packageJson.version,
    activeSessions: activeTurns.count(),
  });
  const running: Stoppable[] = [];
  const isProxy = createProxyRule(config.trustedProxies);

  const listen = async (setting: "HTTP_PORT" | "GRPC_PORT", handle: NodeHandler) => {
    const listener = createPort({
      host: config.host,
      port: setting === "HTTP_PORT" ? config.httpPort : config.grpcPort,
      settings: { host: "HOST", port: setting },
      handle,
      isProxy,
      onStall: () => logger.warn({}, "a client stopped reading and was cut off"),
      onError: (error) => logger.error({ error: String(error) }, "a request failed"),
    });
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
    running.push(...(await startProviders(providers, stopping.signal, activity.onStartError)));
    const page = await readPage(fileURLToPath(PAGE_FOLDER));
    const handle = createHandler(config, {
      conversation,
      usage: activity.usage,
      page,
      readStatus: status,
      holdStream: activeTurns.hold,
      stopping: stopping.signal,
      logger,
    });
    return {
      http: await listen("HTTP_PORT", handle),
      grpc: await listen("GRPC_PORT", handle),
    };
  };
  return {
    start: () => start().catch(async (error) => stop().then(() => Promise.reject(error))),
    stop,
    status,
  };
}

type ConversationParts = {
  readonly providers: Providers;
  readonly activeTurns: ActiveTurns;
  readonly activity: ReturnType<typeof watchActivity>;
};

function openConversation(
  { frameMs }: Config,
  { providers, activeTurns, activity }: ConversationParts,
): Conversation {
  const { onOutcome, onFailover, onTurn } = activity;
  return createConversation({
    stages: createStages({ ...providers, frameMs, onOutcome, onFailover }),
    activeTurns,
    collectedPrompts: createCollectedPrompts(),
    history: createHistory(),
    onTurn,
  });
}

type Stoppable = { stop(): Promise<void> };

type Providers = {
  readonly languageModels: readonly Tier<LanguageModel>[];
  readonly synthesizers: readonly Tier<Synthesizer>[];
};

function openProviders(
  config: Config,
  overrides: AppOverrides,
  listener: LanguageModelListener,
): Providers {
  const languageModels = overrides.languageModels ?? openLanguageModels(config, listener);
  const synthesizers = overrides.synthesizers ?? openSynthesizers(config, listener.onError);
  return {
    languageModels: languageModels.map((each) => createTier(each, config.textTimeouts)),
    synthesizers: synthesizers.map((each) => createTier(each, config.speechTimeouts)),
  };
}

/** A provider that cannot be started leaves the others to speak: its calls fail, and say why. */
async function startProviders(
  { languageModels, synthesizers }: Providers,
  signal: AbortSignal,
  onError: OnError,
): Promise<readonly Stoppable[]> {
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

/** Counts what happens, and logs it. */
function watchActivity(config: Config, logger: Logger) {
  const begun = performance.now();
  const statistics = createProviderStatistics();
  const failovers = createFailovers();
  const turns: Record<string, number> = {};
  const usage = createUsageCounts();
  return {
    usage,
    onError(tier: string, error: unknown) {
      statistics.note(tier, error);
      logger.warn({ tier, ...errorFields(error) }, "a provider is not ready");
    },
    onScreenshotDropped(tier: string, error: unknown) {
      logger.warn({ tier, error: String(error) }, "screenshot left out: no conversion to JPEG");
    },
    onStartError(tier: string, error: unknown) {
      statistics.note(tier, error, true);
      logger.error({ tier, ...errorFields(error) }, "a provider cannot start");
    },
    onOutcome({ tier, error }: TierOutcome) {
      statistics.record(tier, error);
      if (error)
        logger.warn({ tier, fault: error.fault, ...errorFields(error) }, "a provider failed");
    },
    onFailover(change: TierFailover) {
      failovers.record(change);
      logger.warn(change, "another provider took over");
    },
    onTurn({ error, ...fields }: TurnReport) {
      turns[fields.outcome] = (turns[fields.outcome] ?? 0) + 1;
      if (error) logger.error({ ...fields, error: error.message }, "turn");
      else if (config.logTurns) logger.info(fields, "turn");
    },
    read({ languageModels, synthesizers }: Providers) {
      const standing =
        (kind: "text" | "speech") =>
        ({ provider, breaker }: Tier<{ readonly name: string }>) => ({
          name: provider.name,
          kind,
          breaker: breaker.state(),
          ...statistics.read(provider.name),
        });
      return {
        name: "parley" as const,
        uptimeSeconds: Math.round((performance.now() - begun) / 1000),
        providers: [
          ...languageModels.map(standing("text")),
          ...synthesizers.map(standing("speech")),
        ],
        failovers: failovers.read(),
        turns,
        usage: usage.totals(),
      };
    },
  };
}

/** What the log says of a provider's error: more than clients hear, and never at any length. */
function errorFields(error: unknown): LogFields {
  if (!(error instanceof ProviderError)) return { error: oneLine(String(error)) };
  return { error: error.message, ...(error.detail !== undefined && { detail: error.detail }) };
}
