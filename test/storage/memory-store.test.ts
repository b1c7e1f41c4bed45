import { afterAll, beforeAll, vi } from "vitest";
import { createMemoryStore } from "../../server/storage/device-data.ts";
import { createStorage } from "../../server/storage/storage.ts";
import type { Storage } from "../../server/storage/storage-contract.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { createFolder, hasSqld, type Sqld, startSqld } from "./databases.ts";
import { describeMemoryStore } from "./memory-store-suite.ts";

const folder = createFolder();
const isServed = hasSqld();
const storages = new Map<string, Storage>();
let sqld: Sqld | undefined;
beforeAll(async () => {
  if (isServed) sqld = await startSqld(folder.path);
});
afterAll(async () => {
  for (const storage of storages.values()) await storage.stop();
  await sqld?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const forms = [
  ["file:", () => folder.file("memories.db")],
  ["http:", () => `http://127.0.0.1:${sqld?.port}`],
  ["ws:", () => `ws://127.0.0.1:${sqld?.port}`],
] as const;

for (const [scheme, urlOf] of isServed ? forms : forms.slice(0, 1)) {
  beforeAll(async () => {
    const storage = createStorage({
      url: urlOf(),
      timeoutMs: 10_000,
      sessionIdleMs: 300_000,
      logger: createLogger("silent"),
    });
    storages.set(scheme, storage);
    await storage.start();
  });
  const store = () => createMemoryStore(need(storages.get(scheme)));
  describeMemoryStore(`libSQL over ${scheme}`, store, async (time, run) => {
    vi.useFakeTimers({ toFake: ["Date"], now: time });
    try {
      return await run();
    } finally {
      vi.useRealTimers();
    }
  });
}

function need(storage: Storage | undefined): Storage {
  if (!storage) throw new Error("not started");
  return storage;
}
