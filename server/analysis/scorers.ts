import { abortable, throwIfAborted } from "../core/async.ts";
import { type Child, startChild } from "./child.ts";
import { AnalysisError } from "./errors.ts";
import { InvalidModel, type ModelFile } from "./model-file.ts";
import type { Device, SessionOptions } from "./scoring/session.ts";
import type { LoadAnswer, ScoreAnswer } from "./scoring/worker.ts";

/** The processes that have the model. Each scores a few windows at a time; all calls share them. */
export type Scorers = {
  /**
   * Starts a first process, which loads and tries the model, unless one runs. Throws `InvalidModel` if the
   * model has another shape, and an `AnalysisError` if it cannot be loaded now.
   */
  open(): Promise<LoadedModel>;
  /**
   * Scores windows, `LoadedModel.maxWindows` at most, as soon as a process is free; first come, first served.
   * They are taken only then. A score is not a number where the model gives none. Throws an `AnalysisError`, of
   * kind `worker` if the process died, what `take` throws, or the signal's reason at once.
   */
  score(
    take: () => Promise<readonly Int16Array[]>,
    signal: AbortSignal,
  ): Promise<readonly number[]>;
  /** How many windows can be scored at once. */
  readonly size: number;
  /** Processes that run now, and calls that wait. */
  status(): { readonly running: number; readonly waiting: number; readonly device?: Device };
  /** Kills the processes. Calls in progress fail. */
  close(): Promise<void>;
};

/** What is known once a process has loaded the model. */
type LoadedModel = Extract<LoadAnswer, { device: Device }>;

/** How the processes are run. */
export type ScorersOptions = {
  readonly model: ModelFile;
  readonly device: SessionOptions["device"];
  /** The most processes. */
  readonly size: number;
  /** Milliseconds without a call after which the processes end; 5 minutes if absent. */
  readonly idleMs?: number;
};

/** A large model takes its time. */
const LOAD_MS = 120_000;
const SCORE_MS = 120_000;
/** It bounds a leak: what a model needs is the operator's choice. */
const MAX_MEMORY_MB = 16_384;
const IDLE_MS = 300_000;
const { signal: never } = new AbortController();
const beyond = { kind: "worker", what: "the model's process failed" } as const;

/** Creates the pool. Nothing runs before the first call. */
export function createScorers(options: ScorersOptions): Scorers {
  return new ProcessScorers(options);
}

type Waiting = { readonly start: (child: Child) => void; readonly fail: (error: unknown) => void };

class ProcessScorers implements Scorers {
  readonly size: number;
  readonly #options: ScorersOptions;
  readonly #all = new Set<Child>();
  readonly #idle: Child[] = [];
  readonly #waiting: Waiting[] = [];
  #loaded: LoadedModel | undefined;
  #opening: Promise<LoadedModel> | undefined;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ScorersOptions) {
    this.#options = options;
    this.size = options.size;
  }

  async open(): Promise<LoadedModel> {
    if (this.#loaded) return this.#loaded;
    this.#opening ??= this.#startOne().finally(() => {
      this.#opening = undefined;
    });
    return await this.#opening;
  }

  async score(take: () => Promise<readonly Int16Array[]>, signal: AbortSignal) {
    throwIfAborted(signal);
    const child = await this.#acquire(signal);
    // A run that has begun cannot be stopped; it ends soon, and the process is used again.
    const run = take()
      .then((windows) => this.#scoreEach(child, windows))
      .finally(() => this.#release(child));
    return await abortable(run, signal);
  }

  status() {
    const device = this.#loaded?.device;
    return {
      running: this.#all.size,
      waiting: this.#waiting.length,
      ...(device !== undefined && { device }),
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { fail } of this.#waiting.splice(0)) fail(stopped());
    await Promise.all([...this.#all].map((child) => child.close()));
  }

  async #scoreEach(child: Child, windows: readonly Int16Array[]): Promise<readonly number[]> {
    const limits = { timeoutMs: SCORE_MS, signal: never, beyond };
    const request = { type: "score", windows };
    try {
      return (await child.call<ScoreAnswer>(request, limits)).scores;
    } catch (error) {
      if (!child.isAlive()) throw error;
      if (windows.length === 1) return [Number.NaN];
    }
    const scores: number[] = [];
    for (const window of windows) scores.push(...(await this.#scoreEach(child, [window])));
    return scores;
  }

  #acquire(signal: AbortSignal): Promise<Child> {
    if (this.#isClosed) return Promise.reject(stopped());
    clearTimeout(this.#timer);
    const idle = this.#idle.pop();
    if (idle) return Promise.resolve(idle);
    const { promise, resolve, reject } = Promise.withResolvers<Child>();
    const waiting = { start: resolve, fail: reject };
    this.#waiting.push(waiting);
    if (this.#all.size < this.size) this.#startAnother();
    const leave = () => {
      const at = this.#waiting.indexOf(waiting);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
    return abortable(promise, signal).catch((error) => {
      leave();
      // It came too late for this call.
      void promise.then((child) => this.#release(child)).catch(() => undefined);
      throw error;
    });
  }

  /** If it cannot be had, and no other runs, those that wait fail. */
  #startAnother(): void {
    this.#startOne().catch((error) => {
      if (this.#all.size > 0) return;
      for (const { fail } of this.#waiting.splice(0)) fail(error);
    });
  }

  async #startOne(): Promise<LoadedModel> {
    const { model, device } = this.#options;
    const { path, description } = model;
    const own: SessionOptions = { path, description, device };
    const child = startChild({
      program: new URL("./scoring/worker.ts", import.meta.url),
      args: [JSON.stringify(own)],
      maxMemoryMb: MAX_MEMORY_MB,
    });
    this.#all.add(child);
    void child.ended.then(() => this.#remove(child));
    const limits = { timeoutMs: LOAD_MS, signal: never, beyond };
    try {
      const answer = await child.call<LoadAnswer>({ type: "load" }, limits);
      if ("unfit" in answer) throw new InvalidModel(answer.unfit);
      this.#loaded = answer;
      this.#release(child);
      return answer;
    } catch (error) {
      this.#remove(child);
      void child.close();
      throw error;
    }
  }

  #release(child: Child): void {
    if (!child.isAlive()) {
      this.#remove(child);
      // Others may wait for one in its place.
      if (this.#waiting.length > 0 && !this.#isClosed) this.#startAnother();
      return;
    }
    const next = this.#waiting.shift();
    if (next) next.start(child);
    else this.#idle.push(child);
    if (this.#idle.length === this.#all.size) this.#endLater();
  }

  #endLater(): void {
    clearTimeout(this.#timer);
    const end = () => {
      for (const child of this.#idle.splice(0)) void child.close();
    };
    this.#timer = setTimeout(end, this.#options.idleMs ?? IDLE_MS).unref();
  }

  #remove(child: Child): void {
    this.#all.delete(child);
    const at = this.#idle.indexOf(child);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

function stopped(): AnalysisError {
  return new AnalysisError("unavailable", "the gateway is stopping");
}
