import { setTimeout as sleep } from "node:timers/promises";
import type { Screenshot } from "../models/language-model.ts";
import type { BlobStore } from "../storage/blobs/blob-store.ts";
import { blobIdOf } from "../storage/blobs/open-blob-store.ts";
import { sweepOrphans } from "../storage/blobs/sweep.ts";
import type { ScreenshotRows } from "../storage/device-data.ts";
import type { Logger } from "../telemetry/logger.ts";

/** How the screenshots do, for `/status`. Counts are since the start. */
export type ScreenshotStatus = {
  /** `degraded`: pictures are lost, until the blob store takes them again. */
  readonly state: "ok" | "degraded";
  readonly stored: number;
  /** Pictures that turns went on without. */
  readonly lost: number;
  /** Pictures that wait for the blob store. */
  readonly waiting: number;
  /** Pictures without a row that were deleted. */
  readonly swept: number;
  readonly lastError?: string;
};

/** A picture as it came with a turn. */
type SentScreenshot = {
  readonly deviceId: string;
  readonly turnId: string;
  readonly screenshot: Screenshot;
  readonly screen?: { readonly width: number; readonly height: number };
};

/** Keeps the pictures that devices send. */
export type Screenshots = {
  /** Stores a picture in the background: a turn never waits for it. One that cannot be stored is counted. */
  keep(sent: SentScreenshot): void;
  /** A picture that the device sent; undefined for every other. Rejects if a store fails. */
  find(
    deviceId: string,
    id: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array; readonly mimeType: string } | undefined>;
  start(): Promise<void>;
  /** Stores what waits, for a limited time. */
  stop(): Promise<void>;
  status(): ScreenshotStatus;
};

/** What screenshots are made of. */
export type ScreenshotOptions = {
  readonly blobs: BlobStore;
  readonly rows: ScreenshotRows;
  readonly logger: Logger;
  /** Bytes of pictures that may wait; 64 MiB if absent. */
  readonly maxWaitingBytes?: number;
  /** Milliseconds between two tries of a store that is down; 1,000 if absent. */
  readonly retryMs?: number;
  /** Milliseconds after which a picture without a row is deleted; an hour if absent. */
  readonly orphanMs?: number;
};

const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const MAX_RUNNING = 4;
const RETRY_MS = 1000;
const STOP_MS = 2000;
const SWEEP_EVERY_MS = 3_600_000;
/** A picture is stored before its row: a sweep leaves young ones alone. */
const ORPHAN_MS = 3_600_000;
/** Learns whether the store takes objects. A sweep deletes it. */
const PROBE = Buffer.from("parley");

/** Makes the keeper of screenshots. Nothing runs before `start`. */
export function createScreenshots(options: ScreenshotOptions): Screenshots {
  return new StoredScreenshots(options);
}

class StoredScreenshots implements Screenshots {
  readonly #options: ScreenshotOptions;
  readonly #stopping = new AbortController();
  readonly #waiting: SentScreenshot[] = [];
  readonly #running = new Set<Promise<void>>();
  /** Ids that were stored since the last sweep began: it must not delete them. */
  readonly #young = new Set<string>();
  readonly #counts = { stored: 0, lost: 0, swept: 0 };
  #bytes = 0;
  #isDegraded = false;
  #isStopped = false;
  #lastError: string | undefined;
  #probe: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: ScreenshotOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const sweep = () => void this.#sweepOrphans();
    sweep();
    this.#sweep = setInterval(sweep, SWEEP_EVERY_MS).unref();
  }

  keep(sent: SentScreenshot): void {
    const { maxWaitingBytes = MAX_WAITING_BYTES } = this.#options;
    const size = sent.screenshot.bytes.length;
    const isFull = this.#bytes + size > maxWaitingBytes;
    if (isFull) this.#note("too many pictures wait for the object store");
    if (isFull || this.#isDegraded || this.#isStopped) {
      this.#counts.lost += 1;
      return;
    }
    this.#bytes += size;
    this.#waiting.push(sent);
    this.#storeSome();
  }

  async find(deviceId: string, id: string, signal: AbortSignal) {
    const { rows, blobs } = this.#options;
    const row = await rows.findScreenshot(deviceId, id, signal);
    const bytes = row && (await blobs.get(id, signal));
    if (row && bytes) return { bytes, mimeType: `image/${row.format}` };
    // Somebody deleted the object: its row says what is not true.
    if (row) await rows.removeScreenshot(id);
    return undefined;
  }

  status(): ScreenshotStatus {
    return {
      state: this.#isDegraded ? "degraded" : "ok",
      ...this.#counts,
      waiting: this.#waiting.length + this.#running.size,
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#sweep);
    clearTimeout(this.#probe);
    const waited = new AbortController();
    const late = sleep(STOP_MS, undefined, { signal: waited.signal }).catch(() => undefined);
    await Promise.race([this.#untilStored(), late]);
    waited.abort();
    this.#loseWaiting();
    this.#stopping.abort(new Error("the gateway is stopping"));
    await Promise.all(this.#running);
    this.#options.blobs.close();
  }

  async #untilStored(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #storeSome(): void {
    while (this.#running.size < MAX_RUNNING) {
      const sent = this.#waiting.shift();
      if (!sent) return;
      const running = this.#store(sent).finally(() => {
        this.#running.delete(running);
        this.#bytes -= sent.screenshot.bytes.length;
        this.#storeSome();
      });
      this.#running.add(running);
    }
  }

  async #store(sent: SentScreenshot): Promise<void> {
    const { blobs, rows } = this.#options;
    const { screenshot, screen, deviceId, turnId } = sent;
    try {
      this.#young.add(await blobIdOf(screenshot.bytes));
      const id = await blobs.put(screenshot.bytes, this.#stopping.signal);
      const isStored = await rows.addScreenshot({
        deviceId,
        id,
        turnId,
        format: screenshot.mimeType.slice("image/".length),
        base64Length: Math.ceil(screenshot.bytes.length / 3) * 4,
        ...(screen && { screenWidth: screen.width, screenHeight: screen.height }),
      });
      this.#counts[isStored ? "stored" : "lost"] += 1;
    } catch (error) {
      this.#counts.lost += 1;
      this.#fail(error);
    }
  }

  #note(message: string): void {
    this.#lastError = message;
    this.#options.logger.error({ error: message }, "picture not stored");
  }

  /** From now on pictures are lost without a wait, until a probe is stored. */
  #fail(error: unknown): void {
    if (this.#isDegraded || this.#isStopped) return;
    this.#isDegraded = true;
    this.#note(error instanceof Error ? error.message : "failed unexpectedly");
    this.#loseWaiting();
    this.#probeLater();
  }

  #loseWaiting(): void {
    for (const { screenshot } of this.#waiting.splice(0)) {
      this.#counts.lost += 1;
      this.#bytes -= screenshot.bytes.length;
    }
  }

  #probeLater(): void {
    this.#probe = setTimeout(async () => {
      try {
        await this.#options.blobs.put(PROBE, this.#stopping.signal);
        this.#isDegraded = false;
        this.#options.logger.info({ lost: this.#counts.lost }, "object store works again");
      } catch {
        if (!this.#isStopped) this.#probeLater();
      }
    }, this.#options.retryMs ?? RETRY_MS).unref();
  }

  /** Deletes pictures without a row: the turn's row was lost, its time is over, or its device erased. */
  async #sweepOrphans(): Promise<void> {
    const { blobs, rows, orphanMs = ORPHAN_MS } = this.#options;
    this.#young.clear();
    try {
      const isYoung = (id: string) => this.#young.has(id);
      const findOrphans = (ids: readonly string[], signal: AbortSignal) =>
        rows.findOrphans(ids, signal);
      const parts = { blobs, findOrphans, isYoung, orphanMs };
      this.#counts.swept += await sweepOrphans(parts, this.#stopping.signal);
    } catch (error) {
      if (!this.#isStopped) this.#options.logger.warn({ error: String(error) }, "no sweep");
    }
  }
}
