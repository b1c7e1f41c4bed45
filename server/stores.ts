import { availableParallelism } from "node:os";
import { openDistiller, openEmbedder } from "./adapters.ts";
import { createAnalysis } from "./analysis/analysis.ts";
import type { Analysis } from "./analysis/analysis-contract.ts";
import { createDecoder } from "./analysis/decoder.ts";
import { ANALYSIS_AREA } from "./analysis/files.ts";
import { createModel } from "./analysis/model.ts";
import { createStoredObjects, type StoredObjects } from "./analysis/objects.ts";
import { createLocalQueue } from "./analysis/queue.ts";
import { createRedisQueue } from "./analysis/redis-queue.ts";
import { openRedisWindows } from "./analysis/redis-windows.ts";
import { createUsers, type Users } from "./analysis/users.ts";
import { addressOf } from "./cluster/redis-client.ts";
import type { Redis } from "./cluster/redis-contract.ts";
import type { Config } from "./config/config.ts";
import { createMemory, type UserMemory } from "./conversation/memory/memory.ts";
import { createProcessMemoryStore } from "./conversation/memory/process-store.ts";
import { createScreenshots, type Screenshots } from "./conversation/screenshots.ts";
import type { GatewayStatus } from "./http/status.ts";
import type { LanguageModel } from "./models/language-model.ts";
import { openBlobStore } from "./storage/blobs/open-blob-store.ts";
import {
  createMemoryStore,
  createScreenshotRows,
  SCREENSHOTS_AREA,
} from "./storage/device-data.ts";
import { createStorage } from "./storage/storage.ts";
import type { Storage } from "./storage/storage-contract.ts";
import type { GatewayLogger, Logger } from "./telemetry/logger.ts";

/** What keeps data of users. What is switched off is absent: it touches nothing and costs nothing. */
export type Stores = {
  readonly storage?: Storage;
  readonly memory?: UserMemory;
  readonly screenshots?: Screenshots;
  readonly analysis: Analysis;
  readonly objects: StoredObjects;
  /** Those of the front end that logs in by itself. */
  readonly users?: Users;
  /** Starts what is there, while the gateway begins to serve. Rejects only if the analysis refuses its model. */
  start(signal: AbortSignal): Promise<void>;
  /** Stops it: the database last, for the others write to it. */
  stop(): Promise<void>;
  status(): Pick<GatewayStatus, "storage" | "memory" | "screenshots" | "analysis">;
};

/** Puts the stores together. Nothing runs before `start`. */
export function openStores(config: Config, logger: GatewayLogger, redis?: Redis): Stores {
  const model = config.memory.isEnabled ? openDistiller(config) : undefined;
  const storage = openStorage(config, logger.room("storage"));
  const memory = openMemory(config, { storage, model, logger: logger.room("memory") });
  const screenshots = openScreenshots(config, storage, logger.room("storage"));
  const analysis = openAnalysis(config, { storage, redis, logger: logger.room("analysis") });
  const { blobs: location, analysis: settings } = config;
  const objects = createStoredObjects({ location, buckets: settings.buckets, analysis });
  const off = { state: "off" } as const;
  return {
    ...(storage && { storage }),
    ...(memory && { memory }),
    ...(screenshots && { screenshots }),
    analysis,
    objects,
    ...(settings.uploads === "sync" && storage && { users: createUsers(storage) }),
    async start(signal) {
      void storage?.start();
      await screenshots?.start();
      await model?.start?.(signal).catch((error: Error) => {
        logger.room("memory").warn({ error: error.message }, "no model to distil; the rules do");
      });
      await analysis.start();
    },
    async stop() {
      await analysis.stop();
      objects.close();
      await memory?.stop();
      await screenshots?.stop();
      await model?.stop?.();
      await storage?.stop();
    },
    status: () => ({
      storage: storage?.status() ?? off,
      memory: memory?.status() ?? off,
      screenshots: screenshots?.status() ?? off,
      analysis: { ...analysis.status(), uploads: settings.uploads },
    }),
  };
}

function openStorage({ database, sessionIdleMs }: Config, logger: Logger): Storage | undefined {
  if (!database.isEnabled) return undefined;
  const { isEnabled: _, isShared: __, ...options } = database;
  return createStorage({ ...options, sessionIdleMs, logger });
}

type MemoryParts = {
  readonly storage: Storage | undefined;
  readonly model: LanguageModel | undefined;
  readonly logger: Logger;
};

function openMemory(
  config: Config,
  { storage, model, logger }: MemoryParts,
): UserMemory | undefined {
  if (!config.memory.isEnabled) return undefined;
  const embedder = openEmbedder(config);
  return createMemory({
    store: storage ? createMemoryStore(storage) : createProcessMemoryStore(),
    storeName: storage ? "database" : "process",
    timeoutMs: config.memory.timeoutMs,
    logger,
    ...(model && { model }),
    ...(embedder && { embedder }),
  });
}

function openScreenshots(
  { blobs, screenshots }: Config,
  storage: Storage | undefined,
  logger: Logger,
): Screenshots | undefined {
  if (!screenshots.isEnabled || !storage) return undefined;
  return createScreenshots({
    blobs: openBlobStore(blobs, { area: SCREENSHOTS_AREA }),
    rows: createScreenshotRows(storage),
    logger,
  });
}

type AnalysisParts = {
  readonly storage: Storage | undefined;
  readonly redis: Redis | undefined;
  readonly logger: Logger;
};

function openAnalysis(config: Config, { storage, redis, logger }: AnalysisParts): Analysis {
  const { blobs, analysis } = config;
  const { model, maxBytes, ...decoding } = analysis;
  const size = availableParallelism();
  const queue = config.redis
    ? createRedisQueue({ address: addressOf(config.redis.url), size, logger })
    : createLocalQueue(size);
  return createAnalysis({
    storage,
    blobs: openBlobStore(blobs, { area: ANALYSIS_AREA }),
    decoder: createDecoder(decoding),
    model: createModel(model),
    queue,
    ...(redis && { openWindows: (task: string) => openRedisWindows(redis, task) }),
    logger,
    maxBytes,
  });
}
