import type { Queue, Worker } from "bullmq";
import type { Logger } from "../telemetry/logger.ts";
import { createLocalQueue, type RunTask, type TaskQueue } from "./queue.ts";

/** Where the queue is. */
export type RedisQueueOptions = {
  /** As `addressOf` reads it from `REDIS_URL`. */
  readonly address: object;
  /** Tasks that this gateway runs at once. */
  readonly size: number;
  readonly logger: Logger;
};

const NAME = "analysis";
const PREFIX = "parley:queue";
/** How long a gateway that died keeps a job from others. Whoever takes it then claims its row. */
const LOCK_MS = 30_000;
const ADD_MS = 1000;
/** How soon Redis is tried again when it was gone. By itself BullMQ waits up to 20 s, and runs nothing. */
const RETRY_MS = 1000;

/**
 * Creates the queue that several gateways share, by BullMQ. While Redis cannot be reached, what is added here
 * is run here.
 */
export function createRedisQueue(options: RedisQueueOptions): TaskQueue {
  return new BullQueue(options);
}

class BullQueue implements TaskQueue {
  readonly #options: RedisQueueOptions;
  /** For the time that Redis is gone. */
  readonly #local: TaskQueue;
  readonly #stopping = new AbortController();
  readonly #running = new Set<string>();
  /** Added while they ran here: BullMQ knows only one job of an id. */
  readonly #again = new Set<string>();
  #queue: Queue | undefined;
  #worker: Worker | undefined;
  #waiting = 0;

  constructor(options: RedisQueueOptions) {
    this.#options = options;
    this.#local = createLocalQueue(options.size);
  }

  async start(run: RunTask): Promise<void> {
    // Loaded only where it is used.
    const { Queue, Worker } = await import("bullmq");
    const { size } = this.#options;
    const address = { ...this.#options.address, retryStrategy: () => RETRY_MS };
    // Whoever adds must not wait for Redis.
    const own = { ...address, maxRetriesPerRequest: 0, enableOfflineQueue: false };
    this.#queue = new Queue(NAME, { prefix: PREFIX, connection: own });
    this.#queue.on("error", this.#note);
    this.#worker = new Worker(NAME, ({ id = "" }) => this.#run(run, id), {
      prefix: PREFIX,
      connection: { ...address, maxRetriesPerRequest: null },
      concurrency: size,
      lockDuration: LOCK_MS,
      runRetryDelay: RETRY_MS,
    });
    this.#worker.on("error", this.#note);
    this.#worker.on("completed", ({ id = "" }) => {
      if (this.#again.delete(id) && !this.#stopping.signal.aborted) void this.add(id);
    });
    await this.#local.start(run);
  }

  async add(id: string): Promise<void> {
    if (this.#running.has(id)) {
      this.#again.add(id);
      return;
    }
    await this.#addToRedis(id).catch((error: Error) => {
      this.#note(error);
      return this.#local.add(id);
    });
    this.#count();
  }

  async remove(id: string): Promise<void> {
    this.#again.delete(id);
    await this.#local.remove(id);
    await this.#queue?.remove(id).catch(() => undefined);
  }

  status() {
    this.#count();
    const local = this.#local.status();
    return {
      type: "redis",
      running: this.#running.size + local.running,
      waiting: this.#waiting + local.waiting,
    } as const;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("the gateway is stopping"));
    this.#again.clear();
    await this.#local.stop();
    // Its jobs end, for their signal has fired. Redis may not answer, and a connection that waits for its
    // next try never says that it has closed.
    const parts = [this.#worker, this.#queue];
    const all = (end: (part: Queue | Worker | undefined) => Promise<void> | undefined) =>
      within(ADD_MS, Promise.all(parts.map(end))).catch(this.#note);
    await all((part) => part?.close());
    await all((part) => part?.disconnect());
  }

  async #run(run: RunTask, id: string): Promise<void> {
    this.#running.add(id);
    try {
      await run(id, this.#stopping.signal);
    } finally {
      this.#running.delete(id);
    }
  }

  async #addToRedis(id: string): Promise<void> {
    const options = { jobId: id, removeOnComplete: true, removeOnFail: true };
    const added = this.#queue?.add("analyze", {}, options);
    if (!added) throw new Error("the queue has not started");
    await within(ADD_MS, added);
  }

  /** `/status` is answered at once: it has the number of the last time. */
  #count(): void {
    const note = (found: number) => {
      this.#waiting = found;
    };
    this.#queue?.getWaitingCount().then(note, () => undefined);
  }

  #note = (error: Error) => {
    this.#options.logger.debug({ error: error.message }, "the queue in Redis failed");
  };
}

/** Rejects if the promise takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("Redis does not answer")), ms);
  promise.catch(() => undefined);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
