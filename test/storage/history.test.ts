import { afterAll, describe, expect, it } from "vitest";
import { createStoredHistory } from "../../server/conversation/history.ts";
import { createLocalHistory } from "../../server/conversation/local-history.ts";
import { createStorage } from "../../server/storage/storage.ts";
import { createLogger } from "../../server/telemetry/logger.ts";
import { historySuite, type OpenHistory } from "../contracts/history-suite.ts";
import { createFolder, hasSqld, type Sqld, startSqld } from "./databases.ts";

const folder = createFolder();
const logger = createLogger("silent");
let sqld: Sqld | undefined;
afterAll(async () => {
  await sqld?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function openStorage(url: string) {
  const storage = createStorage({ url, timeoutMs: 10_000, sessionIdleMs: 300_000, logger });
  await storage.start();
  return storage;
}

async function open(url: string, now: () => number, isShared: boolean): Promise<OpenHistory> {
  const storage = await openStorage(url);
  const openHistory = () =>
    createStoredHistory(storage, createLocalHistory({ now }), { isShared, now });
  return {
    history: openHistory(),
    restart: async () => openHistory(),
    close: () => storage.stop(),
  };
}

historySuite("createStoredHistory in a file", (now) => open(folder.file("own.db"), now, false));

if (hasSqld()) {
  historySuite("createStoredHistory on a server", async (now) => {
    sqld = await startSqld(folder.path);
    return open(`http://127.0.0.1:${sqld.port}`, now, true);
  });
}

describe("createStoredHistory", () => {
  const session = { deviceId: "d", sessionId: "s" };
  const done = { status: "done", sentSamples: 0, tiers: [] };

  it("sees on a server what another gateway wrote, turn by turn", async () => {
    const url = folder.file("shared.db");
    const [one, two] = [await openStorage(url), await openStorage(url)];
    const [a, b] = [one, two].map((storage) =>
      createStoredHistory(storage, createLocalHistory(), { isShared: true }),
    );
    for (const [index, history] of [a, b, a].entries()) {
      const turn = history?.begin({ ...session, id: `t${index}`, prompt: `p${index}` });
      await turn?.write({ ...done, reply: "Yes." });
    }
    for (const history of [a, b]) {
      const users = (await history?.recall(session))?.map(({ user }) => user);
      expect(users).toEqual(["p0", "p1", "p2"]);
    }
    await Promise.all([one.stop(), two.stop()]);
  });

  it("goes on with what this process knows while the database is down, and counts what it missed", async () => {
    const storage = createStorage({
      url: "http://127.0.0.1:1",
      timeoutMs: 5000,
      sessionIdleMs: 300_000,
      logger,
    });
    await storage.start();
    const history = createStoredHistory(storage, createLocalHistory(), { isShared: true });
    await history.begin({ ...session, id: "t", prompt: "p" }).write({ ...done, reply: "Yes." });
    const startMs = performance.now();
    expect(await history.recall(session)).toMatchObject([{ user: "p", assistant: "Yes." }]);
    expect(performance.now() - startMs).toBeLessThan(4000);
    expect(storage.status()).toMatchObject({ state: "degraded", unread: 1 });
    await storage.stop();
  });
});
