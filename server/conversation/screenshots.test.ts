import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type BlobEntry, BlobError, type BlobStore } from "../storage/blobs/blob-store.ts";
import type { ScreenshotRows } from "../storage/device-data.ts";
import type { ScreenshotRow } from "../storage/records.ts";
import { createLogger } from "../telemetry/logger.ts";
import { createScreenshots, type ScreenshotOptions } from "./screenshots.ts";

// How pictures wait, are lost and swept, on a fake clock. test/storage/screenshots.full.test.ts runs the real
// stores.

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const { signal } = new AbortController();
const HOUR_MS = 3_600_000;

/** A store in which a test holds each `put`, or makes it fail. */
function createStore() {
  const objects = new Map<string, number>();
  const state = { fails: false, deleted: [] as string[], puts: 0 };
  let gate = Promise.resolve();
  const store: BlobStore = {
    async put(bytes) {
      state.puts += 1;
      await gate;
      if (state.fails) throw new BlobError("unreachable");
      const id = `id of ${Buffer.from(bytes)}`;
      objects.set(id, Date.now());
      return id;
    },
    get: async (id) => (objects.has(id) ? Buffer.from(id) : undefined),
    size: async (id) => (objects.has(id) ? 1 : undefined),
    async delete(id) {
      state.deleted.push(id);
      objects.delete(id);
    },
    async *list(): AsyncGenerator<BlobEntry> {
      for (const [id, storedAt] of objects) yield { id, bytes: 1, storedAt };
    },
    close: () => undefined,
  };
  const hold = () => {
    const held = Promise.withResolvers<void>();
    gate = held.promise;
    return held.resolve;
  };
  return { store, state, objects, hold };
}

function createRows() {
  const rows: ScreenshotRow[] = [];
  let isLost = false;
  const store: ScreenshotRows = {
    async addScreenshot(row) {
      if (!isLost) rows.push(row);
      return !isLost;
    },
    findScreenshot: async (deviceId, id) =>
      rows.find((row) => row.deviceId === deviceId && row.id === id),
    async removeScreenshot(id) {
      rows.splice(0, rows.length, ...rows.filter((row) => row.id !== id));
    },
    findOrphans: async (ids) => ids.filter((id) => !rows.some((row) => row.id === id)),
  };
  const lose = () => {
    isLost = true;
  };
  return { rows, store, lose };
}

function open(options: Partial<ScreenshotOptions> = {}) {
  const blobs = createStore();
  const rows = createRows();
  const logger = createLogger("silent");
  const screenshots = createScreenshots({
    blobs: blobs.store,
    rows: rows.store,
    logger,
    ...options,
  });
  const send = (text: string, deviceId = "d") =>
    screenshots.keep({
      deviceId,
      turnId: "t",
      screenshot: { bytes: Buffer.from(text), mimeType: "image/png", width: 4, height: 3 },
      screen: { width: 1920, height: 1080 },
    });
  const untilStored = () =>
    vi.waitFor(() => expect(screenshots.status().waiting).toBe(0), { interval: 1 });
  return { blobs, rows, screenshots, send, untilStored };
}

describe("createScreenshots", () => {
  it("stores the object and then its row, and gives it to its device alone", async () => {
    const { rows, screenshots, send, untilStored } = open();
    send("picture");
    await untilStored();
    expect(rows.rows).toEqual([
      {
        deviceId: "d",
        id: "id of picture",
        turnId: "t",
        format: "png",
        base64Length: 12,
        screenWidth: 1920,
        screenHeight: 1080,
      },
    ]);
    expect(await screenshots.find("d", "id of picture", signal)).toEqual({
      bytes: Buffer.from("id of picture"),
      mimeType: "image/png",
    });
    expect(await screenshots.find("e", "id of picture", signal)).toBeUndefined();
    expect(screenshots.status()).toEqual({ state: "ok", stored: 1, lost: 0, waiting: 0, swept: 0 });
  });

  it("writes no row for an object that was not stored, and counts it", async () => {
    const { blobs, rows, screenshots, send, untilStored } = open();
    blobs.state.fails = true;
    send("picture");
    await untilStored();
    expect(rows.rows).toEqual([]);
    expect(screenshots.status()).toMatchObject({
      state: "degraded",
      stored: 0,
      lost: 1,
      lastError: "the object store is not reachable",
    });
  });

  it("loses pictures at once while the store is down, and heals by itself", async () => {
    const { blobs, screenshots, send, untilStored } = open();
    blobs.state.fails = true;
    for (let index = 0; index < 20; index++) send(`${index}`);
    await untilStored();
    const { puts } = blobs.state;
    send("another");
    expect(screenshots.status()).toMatchObject({ lost: 21, waiting: 0 });
    await vi.advanceTimersByTimeAsync(3000);
    expect(blobs.state.puts).toBe(puts + 3);
    blobs.state.fails = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(screenshots.status().state).toBe("ok");
    send("again");
    await untilStored();
    expect(screenshots.status()).toMatchObject({ stored: 1, lost: 21 });
  });

  it("counts a picture whose row is lost; a later sweep deletes the object", async () => {
    const { blobs, rows, screenshots, send, untilStored } = open();
    await screenshots.start();
    rows.lose();
    send("picture");
    await untilStored();
    expect(screenshots.status()).toMatchObject({ state: "ok", stored: 0, lost: 1 });
    await vi.advanceTimersByTimeAsync(HOUR_MS - 1);
    expect(blobs.state.deleted).toEqual([]);
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(blobs.state.deleted).toEqual(["id of picture"]);
    expect(screenshots.status().swept).toBe(1);
    await screenshots.stop();
  });

  it("sweeps nothing that has a row, and nothing while the database is down", async () => {
    const { blobs, rows, screenshots, send, untilStored } = open();
    send("kept");
    await untilStored();
    blobs.objects.set("orphan", 0);
    blobs.objects.set("id of kept", 0);
    const findOrphans = rows.store.findOrphans;
    rows.store.findOrphans = () => Promise.reject(new Error("the database does not answer"));
    await screenshots.start();
    await vi.advanceTimersByTimeAsync(1000);
    expect(blobs.state.deleted).toEqual([]);
    rows.store.findOrphans = findOrphans;
    await vi.advanceTimersByTimeAsync(HOUR_MS);
    expect(blobs.state.deleted).toEqual(["orphan"]);
    await screenshots.stop();
  });

  it("deletes the row of an object that is gone", async () => {
    const { blobs, rows, screenshots, send, untilStored } = open();
    send("picture");
    await untilStored();
    blobs.objects.clear();
    expect(await screenshots.find("d", "id of picture", signal)).toBeUndefined();
    expect(rows.rows).toEqual([]);
  });

  it("holds so many bytes waiting, and loses further pictures", async () => {
    const { blobs, screenshots, send, untilStored } = open({ maxWaitingBytes: 10 });
    const release = blobs.hold();
    send("12345");
    send("67890");
    send("x");
    expect(screenshots.status()).toMatchObject({
      waiting: 2,
      lost: 1,
      state: "ok",
      lastError: "too many pictures wait for the object store",
    });
    release();
    await untilStored();
    send("x");
    await untilStored();
    expect(screenshots.status()).toMatchObject({ stored: 3, lost: 1 });
  });

  it("stores what waits when it stops, for 2 s at most", async () => {
    const { blobs, screenshots, send } = open();
    const release = blobs.hold();
    for (let index = 0; index < 6; index++) send(`${index}`);
    const stopping = screenshots.stop();
    release();
    await stopping;
    expect(screenshots.status()).toMatchObject({ stored: 6, lost: 0 });
  });
});
