import Database from "libsql/promise";

/** Writes a database's log into its file while others go on writing. */
export type Checkpoints = {
  /** Something was written: its checkpoint comes within a second. Answers at once. */
  request(): void;
  /** Resolves when a checkpoint that runs has ended. */
  close(): Promise<void>;
};

/** A checkpoint waits for the disk: it comes by time, for all that was written meanwhile. */
const EVERY_MS = 1000;

/**
 * The first checkpoint opens a connection of its own, whose calls run on a thread of libSQL's. One that
 * fails is made up for by the next.
 */
export function createCheckpoints(path: string): Checkpoints {
  let database: Database | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  const run = async () => {
    timer = undefined;
    try {
      database ??= new Database(path, {});
      await database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch {
      // The thread that writes meets the same fault, and says so.
    }
    running = undefined;
  };
  return {
    request() {
      timer ??= setTimeout(() => {
        running = run();
      }, EVERY_MS).unref();
    },
    async close() {
      clearTimeout(timer);
      await running;
      database?.close();
    },
  };
}
