import { openDistiller, openEmbedder } from "./adapters.ts";
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
import type { Logger } from "./telemetry/logger.ts";

/** What keeps data of users. What is switched off is absent: it touches nothing and costs nothing. */
export type Stores = {
  readonly storage?: Storage;
  readonly memory?: UserMemory;
  readonly screenshots?: Screenshots;
  /** Starts what is there, while the gateway begins to serve. Never rejects. */
  start(signal: AbortSignal): Promise<void>;
  /** Stops it: the database last, for the others write to it. */
  stop(): Promise<void>;
  status(): Pick<GatewayStatus, "storage" | "memory" | "screenshots">;
};

/** Puts the stores together. Nothing runs before `start`. */
export function openStores(config: Config, logger: Logger): Stores {
  const model = config.memory.isEnabled ? openDistiller(config) : undefined;
  const storage = openStorage(config, logger);
  const memory = openMemory(config, { storage, model, logger });
  const screenshots = openScreenshots(config, storage, logger);
  const off = { state: "off" } as const;
  return {
    ...(storage && { storage }),
    ...(memory && { memory }),
    ...(screenshots && { screenshots }),
    async start(signal) {
      void storage?.start();
      await screenshots?.start();
      await model?.start?.(signal).catch((error: Error) => {
        logger.warn({ error: error.message }, "no model to distil; the rules do");
      });
    },
    async stop() {
      await memory?.stop();
      await screenshots?.stop();
      await model?.stop?.();
      await storage?.stop();
    },
    status: () => ({
      storage: storage?.status() ?? off,
      memory: memory?.status() ?? off,
      screenshots: screenshots?.status() ?? off,
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
