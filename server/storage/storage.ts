import { randomUUID } from "node:crypto";
import type { AnswerOf, ArgumentsOf, CallName } from "./calls.ts";
import { createDatabaseThread, type DatabaseThread } from "./database-thread.ts";
import { type Failure, StorageError } from "./errors.ts";
import type {
  KeptTurn,
  NewTurn,
  RecalledTurn,
  RecallQuery,
  TurnState,
  UsageRecord,
  Write,
} from "./records.ts";
import type { Storage, StorageOptions, StorageStatus } from "./storage-contract.ts";
import { createRecall, createWaitingCalls, type WaitingCalls } from "./waiting-calls.ts";
import { createWaitingRows } from "./waiting-rows.ts";
import type { WorkerAnswer, WorkerError } from "./worker.ts";

const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const RETRY_MS = 1000;
/** What the thread may take beyond the database's own time-out. */
const THREAD_MS = 250;
/** How long the thread may take to load its packages. */
const LOAD_MS = 10_000;
const TIDY_EVERY_MS = 60_000;
/** How long a stop waits for the rest to be written. */
const STOP_MS = 2000;

/** Makes a storage. Nothing runs before `start`. */
export function createStorage(options: StorageOptions): Storage {
  return new ThreadStorage(options);
}

class ThreadStorage implements Storage {
  readonly #options: StorageOptions;
  readonly #rows = createWaitingRows();
  readonly #calls: WaitingCalls;
  readonly #recallTurns: ReturnType<typeof createRecall>;
  readonly #thread: DatabaseThread;
  #state: StorageStatus["state"] = "opening";
  #isStopped = false;
  #lastError: string | undefined;
  #retry: NodeJS.Timeout | undefined;
  #tidy: NodeJS.Timeout | undefined;
  #purged = 0;
  #unread = 0;
  #opened = Promise.withResolvers<void>();

  constructor(options: StorageOptions) {
    this.#options = options;
    const gateway = randomUUID();
    this.#thread = createDatabaseThread(
      { ...options, gateway },
      {
        onAnswer: (answer) => this.#hear(answer),
        onEnd: (error) => this.#ended(error),
      },
    );
    this.#calls = createWaitingCalls(
      (id, name, args) => this.#thread.ask({ type: "call", id, name, args }),
      options.timeoutMs + THREAD_MS,
    );
    this.#recallTurns = createRecall(this.#calls, options, (error) =>
      this.#note(error, "turns not recalled"),
    );
  }

  async start(): Promise<void> {
    this.#thread.start();
    const timer = setTimeout(
      () => this.#fail({ kind: "timeout" }),
      this.#options.timeoutMs + LOAD_MS,
    );
    await this.#opened.promise;
    clearTimeout(timer);
    this.#startTidying();
  }

  begin(turn: NewTurn): KeptTurn {
    const begun = { ...turn, createdAt: Date.now() };
    let endedAt: number | undefined;
    const write = (state: TurnState): Promise<void> => {
      if (state.status !== "running") endedAt ??= Date.now();
      const end = endedAt === undefined ? {} : { endedAt };
      return this.#write({ type: "turn", turn: { ...begun, ...state, ...end } });
    };
    void write({ reply: "", status: "running", sentSamples: 0, tiers: [] });
    return { write };
  }

  async recall(query: RecallQuery): Promise<readonly RecalledTurn[] | undefined> {
    if (this.#state === "off") return undefined;
    const isDown = this.#state === "degraded" || this.#isStopped;
    const turns = isDown ? undefined : await this.#recallTurns(query);
    if (turns === undefined) this.#unread += 1;
    return turns;
  }

  recordUsage(usage: Omit<UsageRecord, "createdAt">): Promise<void> {
    return this.#write({ type: "usage", usage: { ...usage, createdAt: Date.now() } });
  }

  async call<Name extends CallName>(
    name: Name,
    args: ArgumentsOf<Name>,
    signal: AbortSignal,
  ): Promise<AnswerOf<Name>> {
    if (this.#state === "off") throw new StorageError("missing");
    if (this.#state === "degraded" || this.#isStopped) throw new StorageError("unreachable");
    return await this.#calls.add(name, args, signal);
  }

  status(): StorageStatus {
    return {
      state: this.#state,
      ...this.#rows.counts(),
      unread: this.#unread,
      purged: this.#purged,
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    clearInterval(this.#tidy);
    this.#opened.resolve();
    const isAwaited = this.#state === "opening" && this.#rows.bytes() > 0;
    await this.#thread.stop(isAwaited ? LOAD_MS : Math.min(STOP_MS, this.#options.timeoutMs));
    this.#rows.loseAll();
    this.#calls.failAll(new StorageError("unreachable"));
  }

  /** Resolves when the row is durable or lost. */
  #write(write: Write): Promise<void> {
    if (this.#state === "off") return Promise.resolve();
    const { maxWaitingBytes = MAX_WAITING_BYTES } = this.#options;
    const isFull = this.#rows.bytes() >= maxWaitingBytes;
    if (this.#state !== "degraded" && !this.#isStopped && !isFull) return this.#send(write);
    if (isFull) this.#note({ kind: "overload" });
    this.#rows.loseOne();
    return Promise.resolve();
  }

  #send(write: Write): Promise<void> {
    return new Promise((settle) => {
      const timeoutMs = this.#options.timeoutMs + THREAD_MS;
      const onLate = () => this.#fail({ kind: "timeout" });
      const id = this.#rows.add(write, { timeoutMs, settle, onLate });
      this.#thread.ask({ type: "write", id, write });
    });
  }

  #ended(error: WorkerError): void {
    if (error.kind === "missing") this.#switchOff();
    else this.#fail(error);
    this.#rows.loseAll();
    this.#calls.failAll(new StorageError(error.kind, error.code));
  }

  /** For good: no later try would find the package. */
  #switchOff(): void {
    const { message } = new StorageError("missing");
    this.#state = "off";
    this.#lastError = message;
    this.#opened.resolve();
    this.#options.logger.error({ error: message }, "storage off; turns are not stored");
  }

  #hear(message: WorkerAnswer): void {
    if (message.type === "opened") {
      if (message.error) this.#fail(message.error);
      else if (this.#state === "opening") this.#state = "ok";
      this.#opened.resolve();
    } else if (message.type === "set_aside") {
      const { name } = message;
      this.#options.logger.error({ name }, "database damaged; moved aside, a new one begun");
      this.#lastError = new StorageError("corrupt").message;
    } else if (message.type === "answered") {
      const { id, value, error } = message;
      this.#calls.settle(id, error ? new StorageError(error.kind, error.code) : { value });
    } else if (message.type === "purged") {
      this.#purged += message.rows;
      if (message.error) this.#note(message.error);
    } else if (message.error) {
      this.#lost(message.ids, message.error);
    } else {
      this.#written(message.ids);
    }
  }

  #written(ids: readonly number[]): void {
    this.#rows.keep(ids);
    if (this.#state === "degraded") this.#heal();
  }

  #lost(ids: readonly number[], error: WorkerError): void {
    this.#rows.lose(ids);
    if (error.kind === "refused") this.#note(error);
    else this.#fail(error);
  }

  #note({ kind, code }: Failure, what = "row not stored"): void {
    const { message } = new StorageError(kind, code);
    this.#lastError = message;
    this.#options.logger.error({ error: message, code }, what);
  }

  /** From now on rows are lost without a wait, until a probe is written. */
  #fail({ kind, code }: WorkerError): void {
    const { message } = new StorageError(kind, code);
    this.#lastError = message;
    this.#opened.resolve();
    if (this.#isStopped) return;
    if (this.#state !== "degraded") {
      this.#options.logger.error(
        { error: message, code },
        "storage degraded; turns are not stored",
      );
    }
    this.#state = "degraded";
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#probe(), this.#options.retryMs ?? RETRY_MS).unref();
  }

  #probe(): void {
    if (this.#isStopped) return;
    this.#thread.start();
    // The thread may still be stuck in an earlier call. Its answer heals as well.
    if (!this.#rows.hasProbe()) void this.#send({ type: "probe" });
  }

  #heal(): void {
    clearTimeout(this.#retry);
    this.#state = "ok";
    this.#options.logger.info({ lost: this.#rows.counts().lost }, "storage works again");
  }

  #startTidying(): void {
    // Memories expire though nothing else does.
    const { retentionMs = Number.POSITIVE_INFINITY, sessionIdleMs } = this.#options;
    if (this.#isStopped) return;
    const tidy = (now = Date.now()) => {
      const purgeBefore = Math.max(0, now - retentionMs);
      this.#thread.ask({ type: "tidy", idleBefore: now - sessionIdleMs, purgeBefore });
    };
    tidy();
    this.#tidy = setInterval(() => tidy(), TIDY_EVERY_MS).unref();
  }
}
