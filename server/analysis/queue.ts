/**
 * Brings tasks to whoever runs them. It may lose one, or bring it twice: the task's row is the truth, whoever
 * runs a task claims the row first, and a sweep adds what is open and not here.
 */
export type TaskQueue = {
  /** Begins to bring tasks, `size` of them at once. `run` never rejects. */
  start(run: RunTask): Promise<void>;
  /**
   * Adds a task, unless it waits already. One that this gateway runs is added when that run is over. Rejects
   * if the queue cannot be reached.
   */
  add(id: string): Promise<void>;
  /** Takes a task out, if it waits. */
  remove(id: string): Promise<void>;
  /** Tasks that this gateway runs, and all that wait, as far as that is known. */
  status(): {
    readonly type: "process" | "redis";
    readonly running: number;
    readonly waiting: number;
  };
  /** Brings no further tasks, and waits for those that run: their signal has fired. */
  stop(): Promise<void>;
};

/** Runs the task of an id, until the signal fires. */
export type RunTask = (id: string, signal: AbortSignal) => Promise<void>;

/** Creates a queue in this process, first come, first served. */
export function createLocalQueue(size: number): TaskQueue {
  const waiting = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const again = new Set<string>();
  const stopping = new AbortController();
  let run: RunTask | undefined;
  const runSome = () => {
    for (const id of waiting) {
      if (!run || running.size >= size || stopping.signal.aborted) return;
      waiting.delete(id);
      const task = run(id, stopping.signal).finally(() => {
        running.delete(id);
        if (again.delete(id)) waiting.add(id);
        runSome();
      });
      running.set(id, task);
    }
  };
  return {
    async start(runTask) {
      run = runTask;
      runSome();
    },
    async add(id) {
      (running.has(id) ? again : waiting).add(id);
      runSome();
    },
    async remove(id) {
      waiting.delete(id);
      again.delete(id);
    },
    status: () => ({ type: "process", running: running.size, waiting: waiting.size }),
    async stop() {
      stopping.abort(new Error("the gateway is stopping"));
      waiting.clear();
      again.clear();
      await Promise.all(running.values());
    },
  };
}
